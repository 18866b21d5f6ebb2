"""A worker's orders: only those that the log says are pending, each until it is done."""

from dataclasses import replace

import pytest

from logbook import desk as desks
from logbook.desk import Desk, Task
from rights.commands import DayTick
from rights.orders import CollectSections
from schemas.codec import UndecodableError, encode
from schemas.wire import OrderMessage
from tests.logbook.stage import ADA, ORDERS, Stage
from tests.support.waiting import until


def _take(desk: Desk) -> Task:
    task = until(lambda: desk.take(0.1))
    assert task is not None
    return task


def _is_quiet(stage: Stage, desk: Desk, acknowledged: int) -> bool:
    """Nothing is handed out until the group has acknowledged so many records."""
    taken: list[Task | None] = []

    def done() -> bool:
        taken.append(desk.take(0.05))
        return stage.committed() == acknowledged

    until(done)
    return not any(taken)


def test_a_pending_order_is_handed_out(stage: Stage) -> None:
    order = stage.pending()
    stage.send(order)

    with stage.desk() as desk:
        task = _take(desk)

    assert task.order == order
    assert (task.partition, task.seq) == stage.place()


def test_a_crash_before_it_is_done_brings_the_order_back(stage: Stage) -> None:
    order = stage.pending()
    stage.send(order)
    with stage.desk() as desk:
        _take(desk)

    with stage.desk() as desk:
        assert _take(desk).order == order
        assert stage.committed() == 0


def test_an_order_that_is_done_does_not_come_back(stage: Stage) -> None:
    stage.send(stage.pending())
    with stage.desk() as desk:
        desk.done(_take(desk))

    assert stage.committed() == 1
    with stage.desk() as desk:
        assert desk.take(0.05) is None


def test_a_forged_order_is_never_handed_out(stage: Stage) -> None:
    order = stage.pending()
    stage.send(replace(order, order_id="0" * 32))
    # The right id with another person's data behind it is forged as well.
    stage.send(replace(order, handles_vault_id="stolen"))

    with stage.desk() as desk:
        assert _is_quiet(stage, desk, acknowledged=2)


def test_an_order_that_was_done_meanwhile_is_never_handed_out(stage: Stage) -> None:
    stage.send(stage.pending())
    stage.log.carry_out(ADA, while_owed=(CollectSections,))
    stage.publish()

    with stage.desk() as desk:
        assert _is_quiet(stage, desk, acknowledged=1)


def test_an_order_of_a_cancelled_request_is_never_handed_out(stage: Stage) -> None:
    order = stage.pending()
    stage.send(order)
    stage.log.cancel(ADA, order.request_id)
    stage.publish()

    with stage.desk() as desk:
        assert _is_quiet(stage, desk, acknowledged=1)
        assert not desk.is_pending(order)


def test_an_order_is_waited_for_until_the_log_shows_it(stage: Stage) -> None:
    stage.publish()
    with stage.desk() as desk:
        order = stage.pending()
        stage.send(order)

        assert _take(desk).order == order


def test_an_order_for_a_decision_that_never_comes_is_let_go(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "FOLLOWER_PATIENCE_S", 0.05)
    order = stage.pending()
    partition, seq = stage.place()
    stage.send(replace(order, order_id="0" * 32), at=(partition, seq + 1000))

    with stage.desk() as desk:
        assert _is_quiet(stage, desk, acknowledged=1)


def test_an_unreadable_order_becomes_a_dead_letter_and_the_next_one_is_taken(
    stage: Stage,
) -> None:
    order = stage.pending()
    stage.send_bytes(b"ines.almeida@example.org")
    stage.send(order)

    with stage.desk() as desk:
        assert _take(desk).order == order

    (letter,) = stage.dead_letters()
    assert (letter.topic, letter.offset, letter.code) == (ORDERS, 0, "UNKNOWN_SCHEMA")
    assert b"ines" not in encode(letter)
    assert stage.committed() == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "UNKNOWN_SCHEMA"),
        (encode(DayTick(boot_id="b1", boot_clock_ms=1)), "WRONG_MESSAGE"),
        (encode(DayTick(boot_id="b1", boot_clock_ms=1))[:-1], "MALFORMED"),
    ],
)
def test_an_order_message_without_an_order_is_buried(stage: Stage, body: bytes, code: str) -> None:
    stage.publish()
    stage.send_bytes(encode(OrderMessage(partition=0, seq=0, body=body)))

    with stage.desk() as desk:
        assert _is_quiet(stage, desk, acknowledged=1)

    assert [letter.code for letter in stage.dead_letters()] == [code]


def test_another_kind_of_message_is_buried(stage: Stage) -> None:
    stage.publish()
    stage.send_bytes(encode(DayTick(boot_id="b1", boot_clock_ms=1)))

    with stage.desk() as desk:
        assert _is_quiet(stage, desk, acknowledged=1)

    assert [letter.code for letter in stage.dead_letters()] == ["WRONG_MESSAGE"]


def test_a_worker_does_not_go_on_when_the_log_cannot_be_read(stage: Stage) -> None:
    stage.send(stage.pending())

    with stage.desk() as desk:
        stage.append(0, b"junk")

        def stops() -> bool:
            try:
                desk.take(0.05)
            except UndecodableError:
                return True
            return False

        until(stops)
        with pytest.raises(UndecodableError):
            desk.take(0)

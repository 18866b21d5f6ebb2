"""A follower on a thread of its own, and waiting for it."""

import threading
from dataclasses import replace

import pytest

from logbook.following import Following
from schemas.codec import UndecodableError, encode
from schemas.log import Entry
from tests.logbook.stage import Stage
from tests.support.waiting import until


def test_it_has_caught_up_before_start_returns(stage: Stage) -> None:
    stage.publish()
    applied: list[Entry] = []

    with stage.following(applied.append) as following:
        assert len(applied) == len(stage.log.entries)
        partition, seq = stage.place()
        assert following.seq(partition) == seq
        assert following.seq(99) == -1
        assert following.seqs() == {p: following.seq(p) for p in range(stage.log.partitions)}


def test_what_comes_later_is_applied_in_the_background(stage: Stage) -> None:
    applied: list[Entry] = []

    with stage.following(applied.append) as following:
        stage.publish()
        partition, seq = stage.place()
        assert following.wait_for(partition, seq, 10)
        assert stage.log.entries[-1].decision in [e.decision for e in applied]


def test_a_position_counts_as_reached_only_after_it_was_applied(stage: Stage) -> None:
    seen: list[tuple[int, int]] = []
    started: list[Following] = []

    def apply(entry: Entry) -> None:
        decision = entry.decision
        # While it is being applied, nobody may act as if it were.
        seen.append((decision.seq, started[0].seq(decision.partition)))

    with stage.following(apply) as following:
        started.append(following)
        stage.publish()
        partition, seq = stage.place()
        assert following.wait_for(partition, seq, 10)

    assert seen
    assert all(reached == applying - 1 for applying, reached in seen)


def test_nobody_sees_an_entry_that_is_half_applied(stage: Stage) -> None:
    entered, leave = threading.Event(), threading.Event()
    applied: list[Entry] = []

    def slowly(entry: Entry) -> None:
        entered.set()
        assert leave.wait(10)
        applied.append(entry)

    with stage.following(slowly) as following:
        stage.publish()
        assert entered.wait(10)
        # Readers take the same lock, so none of them can look while `slowly` is at work.
        assert not following.lock.acquire(blocking=False)
        leave.set()
        with following.lock:
            assert applied


def test_a_position_that_nobody_wrote_is_not_reached(stage: Stage) -> None:
    stage.publish()
    partition, seq = stage.place()

    with stage.following(lambda _: None) as following:
        assert not following.wait_for(partition, seq + 1, 0.05)


def test_a_condition_is_waited_for(stage: Stage) -> None:
    applied: list[Entry] = []

    with stage.following(applied.append) as following:
        stage.publish()
        assert following.wait_until(lambda: len(applied) == len(stage.log.entries), 10)
        assert not following.wait_until(lambda: False, 0.05)


def test_void_records_are_counted(stage: Stage) -> None:
    stage.publish()
    record = stage.log.records[0]

    with stage.following(lambda _: None) as following:
        assert following.voids == 0
        stage.append(record.partition, record.value or b"", record.key)
        until(lambda: following.voids == 1)


def test_a_damaged_log_stops_whoever_relies_on_it(stage: Stage) -> None:
    stage.publish()

    with stage.following(lambda _: None) as following:
        following.check()
        stage.append(0, b"junk")
        until(lambda: following.failure)

        with pytest.raises(UndecodableError):
            following.check()
        with pytest.raises(UndecodableError):
            following.wait_for(0, 10**6, 10)


def test_a_fold_that_fails_stops_whoever_relies_on_it(stage: Stage) -> None:
    def refuse(_: Entry) -> None:
        raise ArithmeticError

    with stage.following(refuse) as following:
        stage.publish()
        until(lambda: following.failure)

        with pytest.raises(ArithmeticError):
            following.check()


def test_a_log_that_is_damaged_already_does_not_start(stage: Stage) -> None:
    first = stage.log.entries[0].decision
    stage.append(first.partition, encode(first)[:-1])

    with pytest.raises(UndecodableError), stage.following(lambda _: None):
        pass


def test_a_fork_is_void_to_every_follower(stage: Stage) -> None:
    """Two decisions for one place: the first one written is the log, the other never was."""
    stage.publish()
    first = stage.log.entries[0].decision
    stage.append(first.partition, encode(replace(first, code="FORGED")))
    applied: list[Entry] = []

    with stage.following(applied.append) as following:
        assert following.voids == 1
        assert "FORGED" not in {entry.decision.code for entry in applied}

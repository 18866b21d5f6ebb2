"""The decider over the model broker: what it writes, and what it does when it must doubt."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logbook.following import Follower
from plumbing.kafka import Connection, Outgoing
from plumbing.kafka.memory import MemoryBroker
from rights.commands import Actor
from rights.decisions import Verdict
from rights.events import CommandUnreadable, LogOpened
from rights.incoming import Incoming
from rights.ledger import Ledger, consider
from rights.policies import PolicyBook, Role
from schemas.codec import decode_as, encode
from schemas.log import Entry
from schemas.topics import COMMANDS_INTAKE, DECISIONS, collect_orders, dead_letters
from schemas.wire import DeadLetter, OrderMessage, ProgressMessage
from services.decider import deciding as deciding_room
from services.decider.partition import ForeignLogError, PartitionRun
from services.decider.snapshots import Snapshots
from tests.support.asking import EXPORT, PARTITIONS, Asker, asking, command, make_topics
from tests.support.deciders import deciding, surroundings
from tests.support.waiting import until


@pytest.fixture
def connection() -> Connection:
    broker = MemoryBroker().connection("tests")
    make_topics(broker)
    return broker


@pytest.fixture
def asker(connection: Connection) -> Iterator[Asker]:
    with asking(connection) as found:
        yield found


def read(connection: Connection, topic: str) -> list[bytes]:
    reader = connection.reader()
    tps = [(topic, p) for p in range(PARTITIONS)]
    reader.assign(reader.start_offsets(tps))
    ends = reader.end_offsets(tps)
    found: list[bytes] = []
    while any(reader.position(tp) < ends[tp] for tp in tps):
        found += [record.value or b"" for record in reader.poll(100, 0.05)]
    reader.close()
    return found


def test_every_partition_begins_with_the_logs_identity(
    connection: Connection, asker: Asker
) -> None:
    with deciding(connection):
        until(lambda: len(asker.all()) == PARTITIONS)

    for entry in asker.all():
        (opened,) = entry.events
        assert isinstance(opened, LogOpened)
        assert (opened.partitions, opened.stride, entry.decision.seq) == (PARTITIONS, 64, 0)


def test_a_command_is_decided_once_however_often_it_comes(
    connection: Connection, asker: Asker
) -> None:
    with deciding(connection):
        asker.publish()
        ref = "b" * 32
        out = command(EXPORT, Actor(role=Role.SUBJECT, ref=ref), ref, "1" * 32)
        for _ in range(3):
            asker.send(out)
        asker.answer("1" * 32)
        asker.file_export()

    assert len(asker.entries["1" * 32]) == 1


def test_a_restarted_decider_goes_on_where_the_log_ends(
    connection: Connection, asker: Asker
) -> None:
    with deciding(connection):
        asker.publish()
        first = asker.file_export()
    with deciding(connection):
        second = asker.file_export()

    assert first.decision.verdict is Verdict.ACCEPTED
    assert second.decision.verdict is Verdict.ACCEPTED
    assert asker.following.voids == 0


def test_orders_leave_after_the_decision_and_again_after_a_restart(
    connection: Connection, asker: Asker
) -> None:
    topic = collect_orders("journal")
    with deciding(connection):
        asker.publish()
        entry = asker.file_export()
        until(lambda: read(connection, topic))
        sent = len(read(connection, topic))
    with deciding(connection):
        until(lambda: len(read(connection, topic)) > sent)

    message = decode_as(OrderMessage, read(connection, topic)[0])
    assert message.seq >= 1
    assert entry.decision.verdict is Verdict.ACCEPTED


def test_an_order_of_which_nothing_is_heard_is_sent_again(
    connection: Connection, asker: Asker
) -> None:
    topic = collect_orders("journal")
    with deciding(connection, resend_after=timedelta(milliseconds=1)):
        asker.publish()
        asker.file_export()
        until(lambda: read(connection, topic))
        sent = len(read(connection, topic))
        until(lambda: len(read(connection, topic)) > sent, 20)


def test_a_sign_of_life_is_heard_and_never_decided(connection: Connection, asker: Asker) -> None:
    with deciding(connection):
        asker.publish()
        entry = asker.file_export()
        message = ProgressMessage(
            order_id="0" * 32,
            request_id=entry.decision.command.id,
            worker="collectors",
            source="journal",
            percent=5,
            at=entry.decision.decided_at,
        )
        key = (entry.decision.subject_ref or "").encode()
        before = len(asker.all())
        asker.send(Outgoing(topic="rights.progress.v1", key=key, value=encode(message)))
        asker.send(Outgoing(topic="rights.progress.v1", key=key, value=b"noise"))
        asker.file_export()

    assert len(asker.all()) == before + 1


def test_what_cannot_be_read_is_said_in_the_log_and_the_partition_goes_on(
    connection: Connection, asker: Asker
) -> None:
    with deciding(connection):
        asker.publish()
        asker.send(Outgoing(topic=COMMANDS_INTAKE, key=b"x", value=b"not a command"))
        until(lambda: [e for e in asker.all() if e.decision.verdict is Verdict.UNREADABLE])
        for _ in range(6):
            assert asker.file_export().decision.verdict is Verdict.ACCEPTED
        until(lambda: read(connection, dead_letters("decider")))

    (entry,) = [e for e in asker.all() if e.decision.verdict is Verdict.UNREADABLE]
    (event,) = entry.events
    assert isinstance(event, CommandUnreadable)
    letter = decode_as(DeadLetter, read(connection, dead_letters("decider"))[0])
    assert (letter.topic, letter.offset, letter.sha256) == (
        event.topic,
        event.offset,
        event.sha256,
    )


def test_a_record_that_somebody_else_wrote_is_void_and_nothing_is_lost(
    connection: Connection, asker: Asker
) -> None:
    """As a zombie's write would be if fencing failed: it does not extend the head."""
    with deciding(connection):
        asker.publish()
        entry = asker.file_export()
        forged = Outgoing(
            topic=DECISIONS,
            key=b"x",
            value=encode(entry.decision),
            partition=entry.decision.partition,
        )
        asker.send(forged)
        until(lambda: asker.following.voids == 1)
        for _ in range(4):
            assert asker.file_export().decision.verdict is Verdict.ACCEPTED

    assert asker.following.voids == 1


def test_a_log_with_other_numbers_is_not_written_to(connection: Connection, asker: Asker) -> None:
    with deciding(connection):
        until(lambda: len(asker.all()) == PARTITIONS)
    around = surroundings(connection, partitions=2)
    run = PartitionRun(0, around, {})

    with pytest.raises(ForeignLogError):
        run.run()
    around.policies.stop()


def test_a_command_too_large_to_be_recorded_is_said_to_be_so(
    connection: Connection, asker: Asker
) -> None:
    huge = replace(EXPORT, sections=tuple("x" * 999 for _ in range(950)))
    with deciding(connection):
        asker.publish()
        ref = "b" * 32
        asker.send(command(huge, Actor(role=Role.SUBJECT, ref=ref), ref, "1" * 32))
        until(lambda: [e for e in asker.all() if e.decision.code == "TOO_LARGE"])
        assert asker.file_export().decision.verdict is Verdict.ACCEPTED


def test_a_rule_that_raises_is_tried_three_times_then_held_and_the_partition_goes_on(
    connection: Connection, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = []

    def bad_rule(ledger: Ledger, book: PolicyBook, incoming: Incoming, *, now: datetime) -> Any:
        if incoming.envelope.id == "2" * 32:
            raised.append(incoming.offset)
            raise ZeroDivisionError
        return consider(ledger, book, incoming, now=now)

    monkeypatch.setattr(deciding_room, "consider", bad_rule)
    with deciding(connection):
        asker.publish()
        ref = "b" * 32
        asker.send(command(EXPORT, Actor(role=Role.SUBJECT, ref=ref), ref, "2" * 32))
        until(lambda: [e for e in asker.all() if e.decision.code == "LOGIC_ERROR"], 30)
        refused = asker.ask(EXPORT, Actor(role=Role.SUBJECT, ref=ref), ref)
        assert asker.file_export().decision.verdict is Verdict.ACCEPTED

    assert len(raised) == 3
    assert refused.decision.code == "SUBJECT_ON_HOLD"


def test_a_replay_from_a_snapshot_equals_one_from_the_beginning(
    connection: Connection, asker: Asker, tmp_path: Path
) -> None:
    with deciding(connection):
        asker.publish()
        for _ in range(5):
            asker.file_export()
    follower = Follower(connection, [0])
    whole, half = Ledger(0), Ledger(0)
    entries: list[Entry] = []
    follower.read_to_end(entries.append)
    for entry in entries[:-1]:
        half.apply(entry.decision, entry.events, entry.head)
    snapshots = Snapshots(tmp_path)
    snapshots.save(0, 7, half)
    loaded = snapshots.load(0, half.log_id)
    assert loaded is not None
    assert loaded[0] == 7
    for entry in entries:
        whole.apply(entry.decision, entry.events, entry.head)
    loaded[1].apply(entries[-1].decision, entries[-1].events, entries[-1].head)
    follower.close()

    assert loaded[1] == whole


def test_a_damaged_or_foreign_snapshot_is_ignored(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save(0, 1, Ledger(0, log_id="ab"))

    assert snapshots.load(0, "cd") is None
    path = tmp_path / "ledger-0.snapshot"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert snapshots.load(0, "ab") is None
    assert snapshots.load(1, "ab") is None
    assert Snapshots(None).load(0, "ab") is None

"""Reading the log in order, skipping what is not part of it."""

from dataclasses import replace

import pytest

from logbook.following import Follower, LostRaceError, StartingPoint, WrongLogError
from plumbing.kafka import Outgoing
from rights.decisions import Head
from schemas.codec import UndecodableError, encode
from schemas.log import Entry
from schemas.topics import DECISIONS
from tests.logbook.stage import Stage
from tests.support.log_writer import LOG_ID, LogWriter, eventful_log


def _decisions(entries: list[Entry], partition: int) -> list[int]:
    return [e.decision.seq for e in entries if e.decision.partition == partition]


def test_every_decision_is_handed_on_once_and_in_order(stage: Stage) -> None:
    stage.log = eventful_log(people=2)
    stage.publish()
    follower, read = stage.follower(), list[Entry]()

    follower.read_to_end(read.append)

    assert len(read) == len(stage.log.entries)
    for partition in range(stage.log.partitions):
        seqs = _decisions(read, partition)
        assert seqs == list(range(len(seqs)))
    assert follower.poll(0) == []


def test_a_void_record_is_counted_and_never_handed_on(stage: Stage) -> None:
    stage.publish()
    zombie = stage.log.records[0]
    stage.append(zombie.partition, zombie.value or b"", zombie.key)
    stage.log.tick()
    stage.publish()
    follower, read = stage.follower(), list[Entry]()

    follower.read_to_end(read.append)

    assert follower.voids == 1
    assert len(read) == len(stage.log.entries)


def test_a_record_that_is_no_decision_stops_the_reader(stage: Stage) -> None:
    stage.publish()
    stage.append(0, b"junk")
    follower = stage.follower()

    with pytest.raises(UndecodableError):
        follower.read_to_end(lambda _: None)


def test_the_log_of_another_installation_is_refused(stage: Stage) -> None:
    stage.publish()

    with pytest.raises(WrongLogError):
        stage.follower(log_id="ff" * 16).read_to_end(lambda _: None)


def test_a_reader_that_was_told_no_log_reads_any(stage: Stage) -> None:
    stage.publish()
    read: list[Entry] = []

    stage.follower(log_id=None).read_to_end(read.append)

    assert len(read) == len(stage.log.entries)


def test_a_sparing_reader_sees_the_same_decisions(stage: Stage) -> None:
    stage.log = eventful_log(people=1)
    stage.publish()
    read: list[Entry] = []

    follower = Follower(stage.kafka, range(3), log_id=LOG_ID, is_sparing=True)
    follower.read_to_end(read.append)
    follower.close()

    for partition in range(stage.log.partitions):
        written = [e for e in stage.log.entries if e.place.partition == partition]
        found = [e for e in read if e.place.partition == partition]
        assert [e.decision for e in found] == [e.decision for e in written]


def test_a_view_goes_on_where_it_left_off(stage: Stage) -> None:
    stage.publish()
    first = stage.follower()
    first.read_to_end(lambda _: None)
    left_off = {p: StartingPoint(first.next_offset(p), first.chains[p].head) for p in range(3)}
    stage.log.tick()
    stage.publish()
    read: list[Entry] = []

    second = Follower(stage.kafka, range(3), left_off)
    second.read_to_end(read.append)
    second.close()

    assert read
    late = {(e.decision.partition, e.decision.seq) for e in stage.log.entries[-len(read) :]}
    assert {(e.decision.partition, e.decision.seq) for e in read} == late
    assert {e.decision.command.type for e in read} == {"DayTick"}


def test_a_view_with_another_past_takes_nothing_for_the_log(stage: Stage) -> None:
    stage.publish()
    follower = Follower(stage.kafka, [0], {0: StartingPoint(0, Head(-1, b"\xff" * 32))})
    read: list[Entry] = []

    follower.read_to_end(read.append)
    follower.close()

    assert read == []
    assert follower.voids == len([r for r in stage.log.records if r.partition == 0])


def test_control_records_take_offsets_and_do_not_hold_the_reader_up(stage: Stage) -> None:
    stage.publish()
    fresh = len(stage.log.records)
    stage.log.tick()
    writer = stage.kafka.writer("decider.0")
    writer.fence()
    for record in stage.log.records[fresh:]:
        writer.write([_again(record.key, record.value, record.partition)])
    follower, read = stage.follower(), list[Entry]()

    follower.read_to_end(read.append, patience_s=5)

    assert len(read) == len(stage.log.entries)
    assert follower.is_caught_up(follower.ends())


def _again(key: bytes | None, value: bytes | None, partition: int) -> Outgoing:
    return Outgoing(topic=DECISIONS, key=key, value=value or b"", partition=partition)


def test_a_log_that_cannot_be_read_to_its_end_in_time_is_no_basis_for_anything(
    stage: Stage,
) -> None:
    stage.publish()

    with pytest.raises(TimeoutError):
        stage.follower().read_to_end(lambda _: None, patience_s=-1)


class _Writing:
    """One partition's writer, which reads back what it wrote."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.follower = Follower(stage.kafka, [0])
        self.follower.read_to_end(lambda _: None)

    def batch(self) -> list[tuple[bytes | None, bytes, Head]]:
        """The next two decisions of partition 0, not yet on the broker."""
        before = len(self.stage.log.records)
        while len([r for r in self.stage.log.records[before:] if r.partition == 0]) < 2:
            self.stage.log.tick()
        pairs = zip(self.stage.log.records, self.stage.log.entries, strict=True)
        fresh = [(r, e) for r, e in list(pairs)[before:] if r.partition == 0]
        return [(r.key, r.value or b"", e.head) for r, e in fresh]


def test_a_writer_sees_its_own_batch_and_moves_its_head(stage: Stage) -> None:
    stage.publish()
    writing = _Writing(stage)
    batch = writing.batch()
    last = batch[-1][2]

    assert not writing.follower.poll_until_written(list(batch))
    stage.publish()
    while not writing.follower.poll_until_written(batch):
        pass

    assert writing.follower.chains[0].head == last
    assert writing.follower.poll_until_written([])
    writing.follower.close()


def test_a_void_record_before_the_batch_is_counted_and_passed_over(stage: Stage) -> None:
    stage.publish()
    writing = _Writing(stage)
    zombie = next(r for r in stage.log.records if r.partition == 0)
    batch = writing.batch()
    stage.append(0, zombie.value or b"", zombie.key)
    stage.publish()

    while not writing.follower.poll_until_written(batch):
        pass

    assert writing.follower.voids == 1
    writing.follower.close()


def test_a_log_that_somebody_else_extended_is_a_lost_race(stage: Stage) -> None:
    stage.publish()
    writing = _Writing(stage)
    other = _other_history(stage.log)
    batch = writing.batch()
    stage.append(0, other)

    with pytest.raises(LostRaceError):
        writing.follower.poll_until_written(batch)
    writing.follower.close()


def _other_history(log: LogWriter) -> bytes:
    """A decision that extends partition 0 as validly as the one that we are about to write."""
    head = next(e.head for e in reversed(log.entries) if e.decision.partition == 0)
    first = next(e.decision for e in log.entries if e.decision.partition == 0)
    return encode(replace(first, seq=head.seq + 1, prev_hash=head.hash))

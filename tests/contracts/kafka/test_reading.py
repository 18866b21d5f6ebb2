"""Reader: committed records in order, positions that reach the end, positions that are lost."""

from datetime import UTC, datetime, timedelta

import pytest

from plumbing.clock import ManualClock, SystemClock
from plumbing.kafka import Outgoing, PositionLost, Reader, Record
from plumbing.kafka.memory import MemoryBroker
from tests.contracts.kafka.stage import Stage, interrupted_at, outgoing, read_to_end, receive
from tests.support.waiting import until


def test_a_record_comes_back_as_it_was_sent(stage: Stage) -> None:
    topic = stage.topic(partitions=3)
    before = SystemClock().now()

    [delivery] = stage.producer().send_and_wait(
        [
            Outgoing(
                topic=topic,
                key=b"key",
                value=b"value",
                partition=2,
                headers=(("ce_type", b"a"), ("ce_type", b"b")),
            )
        ],
        10,
    )

    [record] = receive(stage.reader({(topic, 2): 0}), 1)
    assert delivery == (topic, 2, 0)
    assert record[:5] == (topic, 2, 0, b"key", b"value")
    assert record.headers == (("ce_type", b"a"), ("ce_type", b"b"))
    assert abs(record.timestamp - before) < timedelta(seconds=10)


def test_a_record_without_key_and_headers_has_none(stage: Stage) -> None:
    topic = stage.topic()

    stage.send(topic, b"")

    [record] = receive(stage.reader({(topic, 0): 0}), 1)
    assert (record.key, record.value, record.headers) == (None, b"", ())


def test_reading_begins_at_the_assigned_offset(stage: Stage) -> None:
    topic = stage.topic()
    stage.send(topic, b"0", b"1", b"2")

    reader = stage.reader({(topic, 0): 1})

    assert reader.position((topic, 0)) == 1
    assert [record.value for record in receive(reader, 2)] == [b"1", b"2"]
    assert reader.position((topic, 0)) == 3


def test_a_new_assignment_replaces_the_old_one(stage: Stage) -> None:
    old, new = stage.topic(), stage.topic()
    stage.send(old, b"old")
    stage.send(new, b"new")
    reader = stage.reader({(old, 0): 0})
    receive(reader, 1)

    reader.assign({(new, 0): 0})
    stage.send(old, b"old again")

    assert [record.value for record in receive(reader, 1)] == [b"new"]
    assert reader.poll(10, 0.2) == []


def test_a_reader_gets_at_most_what_it_asks_for(stage: Stage) -> None:
    topic = stage.topic()
    stage.send(topic, *[b"%d" % number for number in range(10)])
    reader = stage.reader({(topic, 0): 0})
    first = receive(reader, 1)

    rest: list[bytes | None] = []
    while len(rest) < 10 - len(first):
        batch = reader.poll(3, 1)
        assert len(batch) <= 3
        rest += [record.value for record in batch]

    assert rest == [b"%d" % number for number in range(len(first), 10)]


def test_an_empty_topic_is_at_its_end_at_once(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    partitions = [(topic, 0), (topic, 1)]
    reader = stage.reader(dict.fromkeys(partitions, 0))

    assert reader.end_offsets(partitions) == dict.fromkeys(partitions, 0)
    assert read_to_end(reader, partitions) == []


def test_control_records_do_not_keep_a_reader_from_the_end(stage: Stage) -> None:
    topic = stage.topic()
    writer = stage.writer()
    for number in range(3):
        writer.write(outgoing(topic, b"%d" % number))
    stage.settle([(topic, 0)])
    reader = stage.reader({(topic, 0): 0})

    records = read_to_end(reader, [(topic, 0)])

    # Each transaction left a control record behind its only record, the last one at the very end.
    assert [record.offset for record in records] == [0, 2, 4]
    assert reader.position((topic, 0)) == reader.end_offsets([(topic, 0)])[topic, 0] == 6


def test_a_reader_goes_on_behind_control_records(stage: Stage) -> None:
    topic = stage.topic()
    writer = stage.writer()
    writer.write(outgoing(topic, b"before"))
    stage.settle([(topic, 0)])
    reader = stage.reader({(topic, 0): 0})
    read_to_end(reader, [(topic, 0)])

    writer.write(outgoing(topic, b"after"))

    assert [record.value for record in receive(reader, 1)] == [b"after"]


def test_an_open_transaction_holds_back_the_end_and_what_lies_behind_it(stage: Stage) -> None:
    topic = stage.topic()
    stage.send(topic, b"before")
    writer = stage.writer()
    with interrupted_at("decider.committing"):
        writer.write(outgoing(topic, b"undecided"))
    stage.send(topic, b"behind")
    reader = stage.reader({(topic, 0): 0})

    assert [record.value for record in read_to_end(reader, [(topic, 0)])] == [b"before"]
    assert reader.end_offsets([(topic, 0)]) == {(topic, 0): 1}
    assert stage.admin.high_watermarks([(topic, 0)]) == {(topic, 0): 3}

    writer.fence()

    assert [record.value for record in read_to_end(reader, [(topic, 0)])] == [b"behind"]


def test_a_trimmed_position_is_lost_and_stays_so(stage: Stage) -> None:
    topic = stage.topic()
    stage.send(topic, b"0", b"1", b"2", b"3")
    stage.admin.trim({(topic, 0): 2})
    reader = stage.reader({(topic, 0): 1})

    for _ in range(2):
        with pytest.raises(PositionLost) as lost:
            receive(reader, 1)
        assert (lost.value.partition, lost.value.position) == ((topic, 0), 1)

    starts = reader.start_offsets([(topic, 0)])
    assert starts == {(topic, 0): 2}
    reader.assign(starts)
    assert [record.value for record in receive(reader, 2)] == [b"2", b"3"]


def test_a_position_beyond_the_end_is_lost(stage: Stage) -> None:
    # A log that lost its tail: going on from somewhere else would be a guess.
    topic = stage.topic()
    stage.send(topic, b"0")
    reader = stage.reader({(topic, 0): 5})

    with pytest.raises(PositionLost):
        receive(reader, 1)


def test_what_was_read_before_a_lost_position_is_not_lost(stage: Stage) -> None:
    good, trimmed = stage.topic(), stage.topic()
    stage.send(good, b"good")
    stage.send(trimmed, b"0", b"1")
    stage.admin.trim({(trimmed, 0): 1})
    reader = stage.reader({(good, 0): 0, (trimmed, 0): 0})

    # Which of the two the broker answers first is its own affair.
    received = _read_until_lost(reader)

    reader.assign({(good, 0): len(received)})
    received = received or receive(reader, 1)
    assert [record.value for record in received] == [b"good"]


def test_in_memory_the_append_time_is_the_clocks() -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    stage = Stage(MemoryBroker(clock).connection("contract"), lambda what: what)
    topic = stage.topic()
    stage.send(topic, b"first")
    clock.advance(timedelta(days=1))
    stage.send(topic, b"second")

    records = receive(stage.reader({(topic, 0): 0}), 2)

    assert [record.timestamp.day for record in records] == [1, 2]


def _read_until_lost(reader: Reader) -> list[Record]:
    records: list[Record] = []

    def is_lost() -> bool:
        try:
            records.extend(reader.poll(10, 0.2))
        except PositionLost:
            return True
        return False

    until(is_lost)
    return records

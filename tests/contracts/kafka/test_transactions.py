"""TransactionalWriter: whole or not at all, and only the last one fenced may write."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plumbing import failpoints
from plumbing.clock import ManualClock
from plumbing.kafka import Fenced, Indefinite, Outgoing
from plumbing.kafka.memory import MemoryBroker
from tests.contracts.kafka.stage import Stage, interrupted_at, outgoing, receive
from tests.support.waiting import until


def test_a_batch_is_there_in_order_when_write_returns(stage: Stage) -> None:
    topic = stage.topic()

    stage.writer().write(outgoing(topic, b"a", b"b", b"c"))

    assert stage.values(topic) == [b"a", b"b", b"c"]


def test_a_batch_may_span_partitions_and_topics(stage: Stage) -> None:
    first, second = stage.topic(partitions=2), stage.topic()

    stage.writer().write(
        [
            Outgoing(topic=first, partition=0, value=b"a"),
            Outgoing(topic=first, partition=1, value=b"b"),
            Outgoing(topic=second, key=b"key", value=b"c", headers=(("h", b"1"),)),
        ]
    )

    assert sorted(value or b"" for value in stage.values(first)) == [b"a", b"b"]
    assert stage.values(second) == [b"c"]


def test_an_empty_batch_writes_nothing(stage: Stage) -> None:
    topic = stage.topic()

    stage.writer().write([])

    assert stage.admin.high_watermarks([(topic, 0)]) == {(topic, 0): 0}


def test_nobody_writes_without_having_fenced(stage: Stage) -> None:
    writer = stage.connection.writer(stage.fresh("writer"))

    with pytest.raises(RuntimeError, match="fence"):
        writer.write(outgoing(stage.topic(), b"a"))


def test_an_aborted_record_is_invisible_to_readers_and_groups(stage: Stage) -> None:
    topic = stage.topic()
    writer = stage.writer()
    writer.write(outgoing(topic, b"first"))
    with interrupted_at("decider.committing"):
        writer.write(outgoing(topic, b"aborted", b"aborted too"))
    writer.fence()
    writer.write(outgoing(topic, b"second"))

    assert stage.values(topic) == [b"first", b"second"]
    member = stage.member(stage.fresh("group"))
    member.subscribe([topic])
    assert [record.value for record in receive(member, 2)] == [b"first", b"second"]


def test_the_predecessor_of_a_new_writer_is_fenced(stage: Stage) -> None:
    topic = stage.topic()
    transactional_id = stage.fresh("writer")
    zombie = stage.writer(transactional_id)
    zombie.write(outgoing(topic, b"before"))

    successor = stage.writer(transactional_id)

    with pytest.raises(Fenced):
        zombie.write(outgoing(topic, b"zombie"))
    successor.write(outgoing(topic, b"after"))
    assert stage.values(topic) == [b"before", b"after"]


def test_a_predecessor_that_dies_in_the_middle_of_a_large_batch_is_fenced(stage: Stage) -> None:
    # librdkafka then says only that it died; taken for Indefinite, the zombie would fence its
    # successor.
    topic = stage.topic()
    transactional_id = stage.fresh("writer")
    zombie = stage.writer(transactional_id)
    zombie.write(outgoing(topic, b"before"))
    stage.writer(transactional_id)

    with pytest.raises(Fenced):
        zombie.write(outgoing(topic, *[b"zombie"] * 50_000))


def test_a_fenced_writer_stays_out_until_it_fences_itself(stage: Stage) -> None:
    topic = stage.topic()
    transactional_id = stage.fresh("writer")
    first, second = stage.writer(transactional_id), stage.writer(transactional_id)
    with pytest.raises(Fenced):
        first.write(outgoing(topic, b"a"))
    with pytest.raises(RuntimeError, match="fence"):
        first.write(outgoing(topic, b"b"))

    first.fence()

    with pytest.raises(Fenced):
        second.write(outgoing(topic, b"c"))
    first.write(outgoing(topic, b"d"))
    assert stage.values(topic) == [b"d"]


def test_a_fence_aborts_what_the_predecessor_left_open(stage: Stage) -> None:
    topic = stage.topic()
    transactional_id = stage.fresh("writer")
    with interrupted_at("decider.committing"):
        stage.writer(transactional_id).write(outgoing(topic, b"left open"))

    stage.writer(transactional_id)

    assert stage.values(topic) == []
    # The aborted record and the control record behind it.
    assert stage.admin.high_watermarks([(topic, 0)]) == {(topic, 0): 2}


def test_writers_of_different_ids_do_not_disturb_each_other(stage: Stage) -> None:
    topic = stage.topic()
    one, other = stage.writer(), stage.writer()

    for number in range(3):
        one.write(outgoing(topic, b"one %d" % number))
        other.write(outgoing(topic, b"other %d" % number))

    assert len(stage.values(topic)) == 6


@pytest.mark.parametrize("failpoint", ["begun", "produced", "committing"])
def test_before_the_commit_an_interrupted_batch_is_not_there_and_can_be_repeated(
    stage: Stage, failpoint: str
) -> None:
    topic = stage.topic()
    writer = stage.writer()
    with interrupted_at(f"decider.{failpoint}"):
        writer.write(outgoing(topic, b"a", b"b"))

    writer.fence()
    assert stage.values(topic) == []

    writer.write(outgoing(topic, b"a", b"b"))
    assert stage.values(topic) == [b"a", b"b"]


def test_behind_the_commit_an_interrupted_batch_is_there(stage: Stage) -> None:
    # The writer must not know: this is why the log is read before anything is written again.
    topic = stage.topic()
    writer = stage.writer()
    with interrupted_at("decider.committed"):
        writer.write(outgoing(topic, b"a"))

    writer.fence()

    assert stage.values(topic) == [b"a"]


def test_a_record_that_the_broker_refuses_takes_its_whole_batch_down(stage: Stage) -> None:
    topic = stage.topic(config={"max.message.bytes": "1000"})
    writer = stage.writer()

    with pytest.raises(Indefinite) as refused:
        writer.write(outgoing(topic, b"small", b"x" * 2_000))

    assert refused.value.code
    writer.fence()
    writer.write(outgoing(topic, b"next"))
    assert stage.values(topic) == [b"next"]


def test_a_reader_that_waits_sees_a_batch_when_it_is_committed(stage: Stage) -> None:
    topic = stage.topic()
    writer = stage.writer()
    reader = stage.reader({(topic, 0): 0})
    writing = threading.Thread(target=writer.write, args=[outgoing(topic, b"a", b"b")])

    writing.start()
    records = receive(reader, 2)
    writing.join()

    assert [record.value for record in records] == [b"a", b"b"]


def test_a_dropped_producer_takes_its_threads_along(real_stage: Stage) -> None:
    # The driver never calls Producer.close(), which would send an abort: it drops the producer, and
    # this fails if anything still refers to it.
    topic = real_stage.topic()
    writer = real_stage.connection.writer(real_stage.fresh("writer"))
    before = _thread_count()
    writer.fence()
    assert _thread_count() > before

    with interrupted_at("decider.committing"):
        writer.write(outgoing(topic, b"a"))

    until(lambda: _thread_count() <= before)


def _thread_count() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_in_memory_a_transaction_that_stays_open_for_too_long_is_aborted_and_its_writer_fenced() -> (
    None
):
    # As a real broker does, though it takes its time about it.
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    stage = Stage(MemoryBroker(clock).connection("contract"), lambda what: what)
    topic = stage.topic()
    writer = stage.writer()
    fenced: list[Fenced] = []

    def write() -> None:
        try:
            writer.write(outgoing(topic, b"late"))
        except Fenced as error:
            fenced.append(error)

    failpoints.arm("decider.committing:1:sleep=500")
    writing = threading.Thread(target=write)
    writing.start()
    until(lambda: stage.admin.high_watermarks([(topic, 0)]) == {(topic, 0): 1})
    clock.advance(timedelta(seconds=16))

    assert stage.values(topic) == []
    writing.join()
    failpoints.disarm()
    assert len(fenced) == 1

"""What the contract's tests do again and again, said in a word each; it closes what it opened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import pytest

from plumbing import failpoints
from plumbing.kafka import (
    Admin,
    Connection,
    Group,
    Indefinite,
    Outgoing,
    Producer,
    Reader,
    Record,
    TopicPartition,
    TopicSpec,
    TransactionalWriter,
)
from tests.support.waiting import until

# Long enough to be woken by what is already there, short enough to find out that nothing is.
_POLL_SECONDS = 0.2


class Stage:
    def __init__(self, connection: Connection, fresh: Callable[[str], str]) -> None:
        self.connection = connection
        self.fresh = fresh
        self._open = ExitStack()
        self.admin: Admin = connection.admin()
        self._open.callback(self.admin.close)
        self._sender = self.producer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        name = self.fresh("topic")
        self.admin.ensure_topics([TopicSpec(name=name, partitions=partitions, config=config or {})])
        return name

    def producer(self) -> Producer:
        producer = self.connection.producer()
        self._open.callback(producer.close)
        return producer

    def writer(self, transactional_id: str | None = None) -> TransactionalWriter:
        """Fenced already."""
        writer = self.connection.writer(transactional_id or self.fresh("writer"))
        self._open.callback(writer.close)
        writer.fence()
        return writer

    def reader(self, positions: Mapping[TopicPartition, int]) -> Reader:
        reader = self.connection.reader()
        self._open.callback(reader.close)
        reader.assign(positions)
        return reader

    def member(self, group_id: str, instance_id: str | None = None) -> Group:
        member = self.connection.group(group_id, instance_id)
        self._open.callback(member.close)
        return member

    def send(self, topic: str, *values: bytes, key: bytes | None = None) -> None:
        outs = [Outgoing(topic=topic, key=key, value=value) for value in values]
        self._sender.send_and_wait(outs, 10)

    def values(self, topic: str) -> list[bytes | None]:
        """Everything that a new reader sees once no transaction is open any more."""
        count = self.admin.describe(topic)
        assert count is not None
        return self.values_of(*[(topic, number) for number in range(count)])

    def values_of(self, *partitions: TopicPartition) -> list[bytes | None]:
        self.settle(partitions)
        reader = self.reader({})
        reader.assign(reader.start_offsets(partitions))
        return [record.value for record in read_to_end(reader, partitions)]

    def settle(self, partitions: Sequence[TopicPartition]) -> None:
        """Wait for the control records, which a real broker writes after it answered a commit."""
        reader = self.reader({})
        until(lambda: reader.end_offsets(partitions) == self.admin.high_watermarks(partitions))


def read_to_end(reader: Reader, partitions: Sequence[TopicPartition]) -> list[Record]:
    """All records up to where the partitions end now."""
    ends = reader.end_offsets(partitions)
    records: list[Record] = []

    def is_at_end() -> bool:
        if all(reader.position(partition) >= end for partition, end in ends.items()):
            return True
        records.extend(reader.poll(1_000, _POLL_SECONDS))
        return False

    until(is_at_end)
    return records


def receive(source: Reader | Group, count: int) -> list[Record]:
    """At least so many records, and what came along with the last of them."""
    records: list[Record] = []

    def are_enough() -> bool:
        records.extend(source.poll(1_000, _POLL_SECONDS))
        return len(records) >= count

    until(are_enough)
    return records


def outgoing(topic: str, *values: bytes) -> list[Outgoing]:
    return [Outgoing(topic=topic, partition=0, value=value) for value in values]


@contextmanager
def interrupted_at(failpoint: str) -> Iterator[None]:
    """A writer that gets this far, and no further, without knowing what became of its batch."""
    failpoints.arm(f"{failpoint}:1:err")
    try:
        with pytest.raises(Indefinite):
            yield
    finally:
        failpoints.disarm()

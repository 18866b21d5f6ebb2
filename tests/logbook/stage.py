"""A log on a broker in memory, and whatever else lies on its topics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self

from logbook.desk import Desk
from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from plumbing.clock import ManualClock
from plumbing.kafka import Outgoing, TopicSpec
from plumbing.kafka.memory import MemoryBroker, MemoryConnection
from rights.orders import CollectSections
from schemas.codec import decode_as, encode
from schemas.log import Entry
from schemas.topics import DECISIONS, catalogue, collect_orders, dead_letters
from schemas.wire import DeadLetter, OrderMessage
from tests.support.log_writer import LOG_ID, SOURCES, START, LogWriter, person

ORDERS = collect_orders("journal")
PATIENCE_S = 10.0
ADA = person(1)


def entropy() -> Callable[[int], bytes]:
    """Bytes that differ at every draw and are the same in every run."""
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


@dataclass
class Stage:
    log: LogWriter = field(default_factory=LogWriter)
    kafka: MemoryConnection = field(default_factory=lambda: MemoryBroker().connection("logbook"))
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    _open: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        specs = [
            TopicSpec(name=topic.name, partitions=self.log.partitions)
            for topic in catalogue(SOURCES, ["journal-app"])
        ]
        self.kafka.admin().ensure_topics(specs)
        self.log.publish_policy()
        self.producer = self.kafka.producer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._open.close()

    def publish(self) -> None:
        self.log.publish(self.kafka)

    def append(self, partition: int, value: bytes, key: bytes | None = None) -> None:
        """Put anything at all on the log's topic."""
        out = Outgoing(topic=DECISIONS, key=key, value=value, partition=partition)
        self.producer.send_and_wait([out], PATIENCE_S)

    def follower(self, *, log_id: str | None = LOG_ID) -> Follower:
        follower = Follower(self.kafka, range(self.log.partitions), log_id=log_id)
        self._open.callback(follower.close)
        return follower

    @contextmanager
    def following(self, apply: Callable[[Entry], object]) -> Iterator[Following]:
        """A follower on its thread that has caught up."""
        following = Following(Follower(self.kafka, range(self.log.partitions)), apply)
        try:
            following.start()
            yield following
        finally:
            following.stop()

    def pending(self) -> CollectSections:
        """File an export and give the order that it owes to the journal."""
        self.log.file_export(ADA)
        self.publish()
        book = OrderBook()
        for entry in self.log.entries:
            book.apply(entry)
        return next(
            p.order
            for p in book.all()
            if isinstance(p.order, CollectSections) and p.order.source == "journal"
        )

    def send(self, order: object, *, at: tuple[int, int] | None = None) -> None:
        """Put an order on the collectors' topic, with the decision at which it was pending."""
        partition, seq = at or self.place()
        message = OrderMessage(partition=partition, seq=seq, body=encode(order))
        self.send_bytes(encode(message))

    def send_bytes(self, value: bytes) -> None:
        out = Outgoing(topic=ORDERS, key=ADA.encode(), value=value)
        self.producer.send_and_wait([out], PATIENCE_S)

    def place(self) -> tuple[int, int]:
        last = self.log.entries[-1].decision
        return last.partition, last.seq

    def reporter(self, worker: str = "collectors") -> Reporter:
        return Reporter(worker=worker, clock=self.clock, entropy=entropy())

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        book = OrderBook(lambda order: isinstance(order, CollectSections))
        with self.following(book.apply) as following:
            group = self.kafka.group("collectors", "collectors-1")
            desk = Desk(group, self.producer, following, book, self.reporter())
            desk.open([ORDERS])
            try:
                yield desk
            finally:
                desk.close()

    def committed(self) -> int:
        """How many orders the group has acknowledged."""
        return sum(self.kafka.admin().committed("collectors").values())

    def dead_letters(self) -> list[DeadLetter]:
        partitions = [(dead_letters("collectors"), p) for p in range(self.log.partitions)]
        reader = self.kafka.reader()
        reader.assign(dict.fromkeys(partitions, 0))
        records = reader.poll(100, 0)
        reader.close()
        return [decode_as(DeadLetter, record.value or b"") for record in records]

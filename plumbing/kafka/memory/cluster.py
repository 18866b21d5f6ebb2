"""The broker's state inside the process, under one lock: topics, transactions, groups, clock."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from plumbing.clock import Clock
from plumbing.kafka.errors import BrokerError
from plumbing.kafka.memory.groups import ConsumerGroup
from plumbing.kafka.memory.partition import PartitionLog
from plumbing.kafka.memory.transactions import Transactions
from plumbing.kafka.partitioning import partition_for
from plumbing.kafka.records import Outgoing, TopicPartition, TopicSpec

# Kafka's own default.
_MESSAGE_BYTES_MAX = "1048588"


@dataclass(frozen=True, slots=True)
class Topic:
    logs: tuple[PartitionLog, ...]
    message_bytes_max: int


class Cluster:
    """What the parts share. Everything is called inside `look()` or `change()`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._unkeyed_count = 0
        self.topics: dict[str, Topic] = {}
        self.transactions = Transactions()
        self.groups: dict[str, ConsumerGroup] = {}

    @contextmanager
    def look(self) -> Iterator[None]:
        """Alone, and with everything done that is due by the clock."""
        with self._changed:
            self._expire()
            yield

    @contextmanager
    def change(self) -> Iterator[None]:
        """As `look`, and at last wake all who wait."""
        with self.look():
            try:
                yield
            finally:
                self._changed.notify_all()

    def wait(self, deadline: float) -> bool:
        """Let others in until one has changed something; False: the monotonic deadline passed."""
        left = deadline - time.monotonic()
        woken = left > 0 and self._changed.wait(left)
        self._expire()
        return woken

    def now(self) -> datetime:
        return self._clock.now()

    def boot_time(self) -> timedelta:
        return self._clock.boot_time()

    def create(self, spec: TopicSpec) -> None:
        logs = tuple(PartitionLog(spec.name, number) for number in range(spec.partitions))
        limit = int(spec.config.get("max.message.bytes", _MESSAGE_BYTES_MAX))
        self.topics[spec.name] = Topic(logs, limit)

    def group(self, group_id: str) -> ConsumerGroup:
        return self.groups.setdefault(group_id, ConsumerGroup(self._partition_count))

    def log(self, partition: TopicPartition) -> PartitionLog:
        topic = self.topics.get(partition[0])
        if topic is None or not 0 <= partition[1] < len(topic.logs):
            raise BrokerError("_UNKNOWN_PARTITION")
        return topic.logs[partition[1]]

    def log_for(self, out: Outgoing) -> PartitionLog:
        """Where this record goes.

        Raises:
            BrokerError: nowhere.
        """
        topic = self.topics.get(out.topic)
        if topic is None:
            raise BrokerError("UNKNOWN_TOPIC_OR_PART")
        if len(out.value) + len(out.key or b"") > topic.message_bytes_max:
            raise BrokerError("MSG_SIZE_TOO_LARGE")
        return self.log((out.topic, self._partition_of(out, len(topic.logs))))

    def _partition_of(self, out: Outgoing, count: int) -> int:
        if out.partition is not None:
            return out.partition
        if out.key is not None:
            return partition_for(out.key, count)
        # In turn, where librdkafka takes a random one: runs can be repeated.
        self._unkeyed_count += 1
        return self._unkeyed_count % count

    def _partition_count(self, topic: str) -> int:
        found = self.topics.get(topic)
        return len(found.logs) if found is not None else 0

    def _expire(self) -> None:
        now = self._clock.boot_time()
        self.transactions.expire(now)
        for group in self.groups.values():
            group.expire(now)

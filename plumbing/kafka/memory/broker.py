"""A broker inside one process, and the way to it."""

from collections.abc import Mapping, Sequence

from plumbing.clock import Clock, SystemClock
from plumbing.kafka.errors import TopicMismatch
from plumbing.kafka.memory.cluster import Cluster
from plumbing.kafka.memory.reading import MemoryGroup, MemoryReader
from plumbing.kafka.memory.writing import MemoryProducer, MemoryWriter
from plumbing.kafka.records import TopicPartition, TopicSpec


class MemoryBroker:
    """Lives as long as somebody refers to it. Safe to use from several threads."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._cluster = Cluster(clock or SystemClock())

    def connection(self, client_id: str) -> "MemoryConnection":
        return MemoryConnection(self._cluster, client_id)

    def fall_silent(self, group_id: str, instance_id: str) -> None:
        """As if this static member's process were stopped or killed; its next poll wakes it up."""
        with self._cluster.change():
            group = self._cluster.group(group_id)
            member = group.static_member(instance_id)
            if member is None:
                raise LookupError(f"nobody is {instance_id} in {group_id}")
            group.fall_silent(member, self._cluster.boot_time())


class MemoryConnection:
    def __init__(self, cluster: Cluster, client_id: str) -> None:
        self._cluster = cluster
        self._client_id = client_id

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self._cluster)

    def reader(self) -> MemoryReader:
        return MemoryReader(self._cluster)

    def group(self, group_id: str, instance_id: str | None = None) -> MemoryGroup:
        return MemoryGroup(self._cluster, group_id, self._client_id, instance_id)

    def writer(self, transactional_id: str) -> MemoryWriter:
        return MemoryWriter(self._cluster, transactional_id)

    def admin(self) -> "MemoryAdmin":
        return MemoryAdmin(self._cluster)


class MemoryAdmin:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        with self._cluster.change():
            for spec in specs:
                found = self.describe(spec.name)
                if found not in {None, spec.partitions}:
                    raise TopicMismatch(spec.name, wanted=spec.partitions, found=found or 0)
            for spec in specs:
                if spec.name not in self._cluster.topics:
                    self._cluster.create(spec)

    def describe(self, topic: str) -> int | None:
        with self._cluster.look():
            found = self._cluster.topics.get(topic)
            return len(found.logs) if found is not None else None

    def topics(self) -> frozenset[str]:
        with self._cluster.look():
            return frozenset(self._cluster.topics)

    def delete_topics(self, topics: Sequence[str]) -> None:
        with self._cluster.change():
            for topic in topics:
                self._cluster.topics.pop(topic, None)

    def trim(self, positions: Mapping[TopicPartition, int]) -> None:
        with self._cluster.change():
            for partition, before in positions.items():
                self._cluster.log(partition).trim(before)

    def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        with self._cluster.look():
            return {one: self._cluster.log(one).high_watermark for one in partitions}

    def committed(self, group: str) -> dict[TopicPartition, int]:
        with self._cluster.look():
            return dict(self._cluster.group(group).positions)

    def close(self) -> None: ...

"""Reader and group member over the cluster inside the process."""

import time
from collections.abc import Mapping, Sequence

from plumbing.kafka.errors import BrokerError, PositionLost
from plumbing.kafka.memory.cluster import Cluster
from plumbing.kafka.memory.groups import Assign, Member, Revoke
from plumbing.kafka.protocols import Owners
from plumbing.kafka.records import Record, TopicPartition


class _Cursor:
    """Positions that move as records are taken."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._turn = 0
        self.positions: dict[TopicPartition, int] = {}

    def take(self, max_records: int) -> list[Record]:
        """Records first: a lost position is raised when there is nothing else."""
        records: list[Record] = []
        lost: PositionLost | None = None
        for partition in self._in_turn():
            try:
                found, self.positions[partition] = self._cluster.log(partition).read(
                    self.positions[partition], max_records - len(records)
                )
            except PositionLost as error:
                lost = error
            else:
                records += found
        if lost is not None and not records:
            raise lost
        return records

    def _in_turn(self) -> list[TopicPartition]:
        """All, beginning with another each time, so that a busy one does not starve the rest."""
        partitions = list(self.positions)
        if not partitions:
            return []
        self._turn = (self._turn + 1) % len(partitions)
        return partitions[self._turn :] + partitions[: self._turn]


class MemoryReader:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._cursor = _Cursor(cluster)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._cursor.positions = dict(positions)

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        with self._cluster.look():
            while True:
                records = self._cursor.take(max_records)
                if records or not self._cluster.wait(deadline):
                    return records

    def position(self, partition: TopicPartition) -> int:
        return self._cursor.positions[partition]

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        with self._cluster.look():
            return {partition: self._cluster.log(partition).end for partition in partitions}

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        with self._cluster.look():
            return {partition: self._cluster.log(partition).start for partition in partitions}

    def close(self) -> None:
        self._cursor.positions = {}


class MemoryGroup:
    def __init__(
        self, cluster: Cluster, group_id: str, client_id: str, instance_id: str | None
    ) -> None:
        self._cluster = cluster
        self._group_id = group_id
        self._client_id = client_id
        self._instance_id = instance_id
        self._cursor = _Cursor(cluster)
        self._member: Member | None = None
        self._on_assign: Owners | None = None
        self._on_revoke: Owners | None = None
        self._ownership_only = False

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Owners | None = None,
        on_revoke: Owners | None = None,
        *,
        ownership_only: bool = False,
    ) -> None:
        self._on_assign, self._on_revoke = on_assign, on_revoke
        self._ownership_only = ownership_only
        with self._cluster.change():
            self._member = self._cluster.group(self._group_id).join(
                self._client_id, self._instance_id, frozenset(topics)
            )

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        while True:
            self._settle()
            with self._cluster.look():
                records = self._take(max_records)
                if records or not self._cluster.wait(deadline):
                    return records

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        if self._member is None:
            raise BrokerError("UNKNOWN_MEMBER_ID")
        with self._cluster.change():
            self._cluster.group(self._group_id).commit(self._member, positions)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._member.held if self._member is not None else ())

    def close(self) -> None:
        if self._member is None:
            return
        self._tell(self._on_revoke, self._member.held)
        with self._cluster.change():
            self._cluster.group(self._group_id).leave(self._member, self._cluster.boot_time())
        self._member = None
        self._cursor.positions = {}

    def _take(self, max_records: int) -> list[Record]:
        return [] if self._ownership_only else self._cursor.take(max_records)

    def _settle(self) -> None:
        """Give back and take over what the coordinator says, telling the owner without the lock."""
        while self._member is not None:
            with self._cluster.change():
                step = self._cluster.group(self._group_id).next_step(self._member)
            if step is None:
                return
            if isinstance(step, Revoke):
                self._give_back(self._member, step)
            else:
                self._take_over(self._member, step)

    def _give_back(self, member: Member, step: Revoke) -> None:
        self._tell(self._on_revoke, step.share)
        with self._cluster.change():
            self._cluster.group(self._group_id).revoked(member)
            self._cursor.positions = {}

    def _take_over(self, member: Member, step: Assign) -> None:
        with self._cluster.change():
            group = self._cluster.group(self._group_id)
            group.assigned(member, step.share)
            self._cursor.positions = {
                partition: group.positions.get(partition, self._cluster.log(partition).start)
                for partition in step.share
            }
        self._tell(self._on_assign, step.share)

    @staticmethod
    def _tell(owner: Owners | None, share: Sequence[TopicPartition]) -> None:
        if owner is not None and share:
            owner(list(share))

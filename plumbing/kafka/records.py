"""What goes in and out of a broker: records, places, topics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

TopicPartition = tuple[str, int]
Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """A record as it lies on a topic. A named tuple, because replay makes millions of them."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    # When the broker appended it, by the broker's clock.
    timestamp: datetime
    headers: Headers


class Delivery(NamedTuple):
    """Where a record went."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A record to be. Without a partition its key chooses one (`partition_for`)."""

    topic: str
    key: bytes | None = None
    value: bytes
    partition: int | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it shall be; `config` holds the broker's own topic settings."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = 1

"""How a process reaches a real broker, and every librdkafka setting that we chose.

It does not read the environment: bootstrap, client id and security come from the process's config.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from plumbing.kafka.admin import KafkaAdmin
from plumbing.kafka.group import KafkaGroup
from plumbing.kafka.librdkafka import ErrorLog, Silence
from plumbing.kafka.partitioning import PARTITIONER
from plumbing.kafka.producer import KafkaProducer
from plumbing.kafka.reader import KafkaReader
from plumbing.kafka.transaction import TransactionDriver

Settings = dict[str, object]

_CLIENT: Settings = {
    # Ten seconds by default: too long for a broker that is back after three.
    "reconnect.backoff.max.ms": 1_000,
    "allow.auto.create.topics": False,
}
_PRODUCER: Settings = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": PARTITIONER,
    # The default of 1 GB is no limit for a process that shall stay under 256 MB.
    "queue.buffering.max.kbytes": 64 * 1024,
}
_PLAIN_PRODUCER: Settings = {
    # A person waits for the answer; while one request is on its way, others gather behind it.
    "linger.ms": 1,
    "delivery.timeout.ms": 30_000,
}
_TRANSACTIONAL_PRODUCER: Settings = {
    # An open transaction stops every reader of its partitions (KIP-890): not for longer than this.
    "transaction.timeout.ms": 15_000,
}
_CONSUMER: Settings = {
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # New records end the broker's wait at once; this is how long "nothing more" takes to say.
    "fetch.wait.max.ms": 50,
    # By default a full queue stops fetching for a second, which a fast reader empties in less.
    "fetch.queue.backoff.ms": 10,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.max.bytes": 16 * 1024 * 1024,
}
_READER: Settings = {
    # librdkafka wants a group even of those who have none; nothing is ever committed to it.
    "group.id": "habeas.no-group",
    # The only way to learn a position behind control records.
    "enable.partition.eof": True,
}
_GROUP: Settings = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 1_000,
    # A worker polls again when its order is done, and sealing a large archive may take long; that it
    # lives is what the heartbeat says.
    "max.poll.interval.ms": 6 * 3_600_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """`security` holds librdkafka's `security.protocol`, `sasl.*` and `ssl.*` settings."""

    bootstrap: str
    client_id: str
    security: Mapping[str, str] = field(default_factory=dict, repr=False)

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self._settings(_PRODUCER, _PLAIN_PRODUCER))

    def reader(self) -> KafkaReader:
        return KafkaReader(self._settings(_CONSUMER, _READER))

    def group(self, group_id: str, instance_id: str | None = None) -> KafkaGroup:
        membership: Settings = {"group.id": group_id}
        if instance_id is not None:
            membership["group.instance.id"] = instance_id
        return KafkaGroup(self._settings(_CONSUMER, _GROUP, membership))

    def writer(self, transactional_id: str) -> TransactionDriver:
        return TransactionDriver(
            self._settings(
                _PRODUCER, _TRANSACTIONAL_PRODUCER, {"transactional.id": transactional_id}
            )
        )

    def admin(self) -> KafkaAdmin:
        return KafkaAdmin(self._settings())

    def _settings(self, *parts: Settings) -> Settings:
        settings: Settings = {
            "bootstrap.servers": self.bootstrap,
            "client.id": self.client_id,
            "logger": Silence(),
            "error_cb": ErrorLog(),
            **_CLIENT,
            **self.security,
        }
        return settings | dict(itertools.chain.from_iterable(part.items() for part in parts))

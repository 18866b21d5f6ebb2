"""Records in and out of a broker. What it promises stands in `protocols`.

    records errors       what travels, what goes wrong
    protocols            the contract of each part, in prose
    connection           KafkaConnection: the way to a real broker, every setting in one place
    producer reader group admin    one part each, over confluent-kafka
    transaction          the one driver of transactional producers
    partitioning         which partition a key lives on
    librdkafka           its errors, messages and log in our words
    memory/              MemoryBroker: the same parts inside one process

Nothing outside this room imports confluent_kafka.
"""

from plumbing.kafka.connection import KafkaConnection
from plumbing.kafka.errors import BrokerError, Fenced, Indefinite, PositionLost, TopicMismatch
from plumbing.kafka.partitioning import partition_for
from plumbing.kafka.protocols import Admin, Connection, Group, Producer, Reader, TransactionalWriter
from plumbing.kafka.records import Delivery, Headers, Outgoing, Record, TopicPartition, TopicSpec

__all__ = [
    "Admin",
    "BrokerError",
    "Connection",
    "Delivery",
    "Fenced",
    "Group",
    "Headers",
    "Indefinite",
    "KafkaConnection",
    "Outgoing",
    "PositionLost",
    "Producer",
    "Reader",
    "Record",
    "TopicMismatch",
    "TopicPartition",
    "TopicSpec",
    "TransactionalWriter",
    "partition_for",
]

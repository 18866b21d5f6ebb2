"""Which partition a key lives on, by the hash that every client of ours uses.

Java's, librdkafka's `murmur2_random` and aiokafka's default agree on it; librdkafka's own default
does not. A test holds all of them against each other on a real broker.
"""

from confluent_kafka.cimpl import murmur2

PARTITIONER = "murmur2_random"


def partition_for(key: bytes, count: int) -> int:
    return murmur2(key, count)

"""The same key lives on the same partition, whoever sends it."""

import asyncio
import random

import pytest
from aiokafka import AIOKafkaProducer

from plumbing.kafka import KafkaConnection, Outgoing, partition_for
from tests.contracts.kafka.stage import Stage

_PARTITIONS = 12
_random = random.Random(20260301)
# Lengths around the hash's four-byte steps, and the 16 bytes that our keys have.
_KEYS = [_random.randbytes(length) for length in (*range(1, 9), *([16] * 92))]


@pytest.mark.parametrize(
    ("key", "partition"),
    [(b"", 9), (b"a", 4), (b"key", 1), (bytes(16), 4), (b"\xff" * 16, 10)],
)
def test_a_keys_partition_never_changes(key: bytes, partition: int) -> None:
    # Records of many years lie where this function once put them.
    assert partition_for(key, _PARTITIONS) == partition


def test_a_key_chooses_the_partition(stage: Stage) -> None:
    topic = stage.topic(partitions=_PARTITIONS)

    deliveries = stage.producer().send_and_wait(
        [Outgoing(topic=topic, key=key, value=b"") for key in _KEYS], 10
    )

    assert [one.partition for one in deliveries] == [partition_for(k, _PARTITIONS) for k in _KEYS]


def test_a_key_chooses_the_same_partition_inside_a_transaction(stage: Stage) -> None:
    topic = stage.topic(partitions=_PARTITIONS)
    partitions = [(topic, number) for number in range(_PARTITIONS)]

    stage.writer().write([Outgoing(topic=topic, key=key, value=b"") for key in _KEYS])

    stage.settle(partitions)
    counts = [len(stage.values_of(partition)) for partition in partitions]
    homes = [partition_for(key, _PARTITIONS) for key in _KEYS]
    assert counts == [homes.count(number) for number in range(_PARTITIONS)]


def test_aiokafka_and_so_faust_choose_as_we_do(real: KafkaConnection, real_stage: Stage) -> None:
    topic = real_stage.topic(partitions=_PARTITIONS)

    chosen = asyncio.run(_send_with_aiokafka(real.bootstrap, topic))

    assert chosen == [partition_for(key, _PARTITIONS) for key in _KEYS]


def test_records_without_a_key_go_somewhere(stage: Stage) -> None:
    topic = stage.topic(partitions=3)

    stage.send(topic, *[b"%d" % number for number in range(30)])

    assert len(stage.values(topic)) == 30


async def _send_with_aiokafka(bootstrap: str, topic: str) -> list[int]:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        answers = [await producer.send(topic, value=b"", key=key) for key in _KEYS]
        return [(await answer).partition for answer in answers]

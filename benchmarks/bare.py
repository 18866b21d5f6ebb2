"""The limits: what confluent-kafka and fastavro do alone, in as few lines as a person would write.

Beside `plumbing.kafka` and `schemas` this is the one module that imports them, because a limit that
went through our own pipes would flatter them. Settings are those of our own clients where they cost
or gain time.
"""

import io
import os
import time
from pathlib import Path
from typing import Any, Final

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.ground import BATCH, LIMIT, Plot
from schemas.topics import COMMANDS_INTAKE, DECISIONS

_FROZEN: Final = Path(__file__).resolve().parents[1] / "schemas"
_MARKER_BYTES: Final = 10
_CONSUMER: Final = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "fetch.wait.max.ms": 50,
    "fetch.queue.backoff.ms": 10,
    "auto.offset.reset": "earliest",
}


def exactly_once(plot: Plot) -> None:
    """Consume a batch, send each record on changed, send the offsets, commit; until all are over."""
    group = f"bench-{os.urandom(8).hex()}"
    servers = {"bootstrap.servers": plot.bootstrap}
    consumer = Consumer({**servers, **_CONSUMER, "group.id": group})
    producer = Producer(
        {**servers, "transactional.id": group, "acks": "all", "partitioner": "murmur2_random"}
    )
    producer.init_transactions(30)
    consumer.assign([TopicPartition(COMMANDS_INTAKE, plot.partition, 0)])
    left = plot.commands + 1
    while left:
        messages = consumer.consume(BATCH, 0.2)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            value = message.value()[::-1]
            producer.produce(LIMIT, value, message.key(), plot.partition)
        place = TopicPartition(COMMANDS_INTAKE, plot.partition, messages[-1].offset() + 1)
        producer.send_offsets_to_transaction([place], consumer.consumer_group_metadata())
        producer.commit_transaction()
        left -= len(messages)
    consumer.close()

"""The limits: what confluent-kafka and fastavro do alone, in as few lines as a person would write.

Beside `plumbing.kafka` and `schemas` this is the one module that imports them, because a limit that
went through our own pipes would flatter them. Settings are those of our own clients where they cost
or gain time.
"""

import io
import json
import os
import time
from pathlib import Path
from typing import Any, Final

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.ground import BATCH, LIMIT, Plot
from schemas.topics import COMMANDS_INTAKE, DECISIONS

_RELEASED: Final = Path(__file__).resolve().parents[1] / "schemas" / "avsc"
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
            value = (message.value() or b"")[::-1]
            producer.produce(LIMIT, value, message.key(), plot.partition)
        # Asked for the offsets first, the coordinator is still busy with the last transaction, and
        # librdkafka comes back after 100 ms: three times slower.
        producer.flush()
        place = TopicPartition(COMMANDS_INTAKE, plot.partition, (messages[-1].offset() or 0) + 1)
        producer.send_offsets_to_transaction([place], consumer.consumer_group_metadata())
        producer.commit_transaction()
        left -= len(messages)
    consumer.close()


def decode_all(plot: Plot) -> float:
    """Decisions a second that are consumed and decoded to plain dicts, their events too."""
    schemas = {path.stem: _schema(path) for path in _RELEASED.glob("*.avsc")}
    consumer = Consumer(
        {"bootstrap.servers": plot.bootstrap, **_CONSUMER, "group.id": os.urandom(8).hex()}
    )
    place = TopicPartition(DECISIONS, plot.partition, 0)
    end = consumer.get_watermark_offsets(place)[1]
    consumer.assign([place])
    begun_s, decoded, offset = time.monotonic(), 0, -1
    # A control record is the last one: transactions end with theirs.
    while offset < end - 2:
        for message in consumer.consume(2_000, 0.05):
            decision = _read(schemas["Decision"], message.value() or b"")
            for event in decision["events"]:
                _read(schemas[event["type"]], event["body"])
            decoded += 1
            offset = message.offset() or 0
    took_s = time.monotonic() - begun_s
    consumer.close()
    return decoded / took_s


def _schema(path: Path) -> Any:
    return fastavro.parse_schema(json.loads(path.read_text(encoding="utf-8")))


def _read(schema: Any, octets: bytes) -> Any:
    stream = io.BytesIO(octets)
    stream.seek(_MARKER_BYTES)
    return fastavro.schemaless_reader(stream, schema, None)

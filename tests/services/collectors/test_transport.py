"""Faust's clients on a real broker: what they see, and where what they send ends up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import faust
import pytest
from confluent_kafka import Producer as Librdkafka

from plumbing.config import Secret
from plumbing.kafka import KafkaConnection, Outgoing, TopicSpec, partition_for
from schemas.topics import collect_orders
from services.collectors.app import FaustPublisher, application, attend
from services.collectors.config import CollectorsConfig
from services.collectors.transport import Application

PATIENCE_S = 30.0
PARTITIONS = 3


class Heard:
    """Stands where the collector stands, and writes down what it is given."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def take(self, record: Any, acknowledge: Any) -> None:
        self.values.put_nowait(record.value)
        acknowledge()

    async def until(self, value: bytes) -> list[bytes | None]:
        """Everything that was heard until this came."""
        heard: list[bytes | None] = []
        while value not in heard:
            heard.append(await asyncio.wait_for(self.values.get(), PATIENCE_S))
        return heard


@pytest.fixture
def source() -> str:
    return f"journal-{secrets.token_hex(4)}"


@pytest.fixture
def config(kafka_bootstrap: str, source: str) -> CollectorsConfig:
    return CollectorsConfig(
        kafka=kafka_bootstrap,
        log_id="00" * 16,
        partitions=PARTITIONS,
        sources=(source,),
        declarations=(),
        keyring_url="",
        keyring_token=Secret("none"),
    )


@pytest.fixture
def connection(kafka_bootstrap: str, source: str) -> Iterator[KafkaConnection]:
    connection = KafkaConnection(bootstrap=kafka_bootstrap, client_id="test")
    admin = connection.admin()
    topic = collect_orders(source)
    admin.ensure_topics([TopicSpec(name=topic, partitions=PARTITIONS)])
    yield connection
    admin.delete_topics([topic])
    admin.close()


def transaction(bootstrap: str, topic: str, value: bytes, ending: str) -> Librdkafka:
    """A record in a transaction that is committed, aborted, or left open."""
    producer = Librdkafka(
        {"bootstrap.servers": bootstrap, "transactional.id": secrets.token_hex(8)}
    )
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topic, value, key=b"one-partition")
    producer.flush(PATIENCE_S)
    if ending == "aborted":
        producer.abort_transaction(PATIENCE_S)
    if ending == "committed":
        producer.commit_transaction(PATIENCE_S)
    return producer


async def heard_by(app: faust.App, source: str, last: bytes) -> list[bytes | None]:
    heard = Heard()
    attend(app, [source], heard)  # type: ignore[arg-type] # it only takes
    await app.start()
    try:
        return await heard.until(last)
    finally:
        await app.stop()


def test_an_order_of_an_aborted_transaction_is_never_seen(
    config: CollectorsConfig, connection: KafkaConnection, source: str
) -> None:
    topic = collect_orders(source)
    for value, ending in ((b"first", "committed"), (b"ghost", "aborted"), (b"last", "committed")):
        transaction(config.kafka, topic, value, ending)

    assert asyncio.run(heard_by(application(config), source, b"last")) == [b"first", b"last"]


def test_an_order_of_an_open_transaction_is_seen_when_it_is_committed(
    config: CollectorsConfig, connection: KafkaConnection, source: str
) -> None:
    topic = collect_orders(source)
    transaction(config.kafka, topic, b"first", "committed")
    under_way = transaction(config.kafka, topic, b"open", "open")

    async def listen() -> list[bytes | None]:
        heard = Heard()
        app = application(config)
        attend(app, [source], heard)  # type: ignore[arg-type] # it only takes
        await app.start()
        try:
            before = await heard.until(b"first")
            assert heard.values.empty()
            await asyncio.to_thread(under_way.commit_transaction, PATIENCE_S)
            return before + await heard.until(b"open")
        finally:
            await app.stop()

    assert asyncio.run(listen()) == [b"first", b"open"]


def test_fausts_own_transport_would_have_shown_it(
    config: CollectorsConfig, connection: KafkaConnection, source: str
) -> None:
    """If this fails, Faust has changed its mind and ours may go."""

    class Plain(Application):
        def _new_transport(self) -> Any:
            return faust.App._new_transport(self)

    topic = collect_orders(source)
    transaction(config.kafka, topic, b"ghost", "aborted")
    transaction(config.kafka, topic, b"last", "committed")
    plain = Plain(
        f"plain-{source}",
        broker=f"kafka://{config.kafka}",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
    )

    assert asyncio.run(heard_by(plain, source, b"last")) == [b"ghost", b"last"]


def test_a_key_lands_on_the_partition_where_everybody_else_puts_it(
    config: CollectorsConfig, connection: KafkaConnection, source: str
) -> None:
    keys = [secrets.token_hex(16).encode() for _ in range(60)]
    topic = collect_orders(source)

    async def send() -> list[int]:
        app = application(config)
        attend(app, [source], Heard())  # type: ignore[arg-type] # it only takes
        publisher = FaustPublisher(app)
        await app.start()
        try:
            sent = [
                await publisher.send(Outgoing(topic=topic, key=key, value=b"v")) for key in keys
            ]
            return [(await record).partition for record in sent]
        finally:
            await app.stop()

    assert asyncio.run(send()) == [partition_for(key, PARTITIONS) for key in keys]

"""The Faust application: one agent a source, manual acknowledgement, no tables, no web server.

What an agent does with a record is `collecting`'s business. The application starts and ends inside
our own event loop: Faust's worker would take over signals and logging.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from plumbing.kafka import Outgoing, Record
from schemas.topics import collect_orders
from services.collectors.collecting import Collector
from services.collectors.config import CollectorsConfig
from services.collectors.transport import Application

# A dead member's partitions are somebody else's after this; a busy one is not dead.
SESSION_S: Final = 10.0
# The broker may be away this long before a fragment on its way counts as lost.
PATIENCE_S: Final = 120.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def application(config: CollectorsConfig) -> Application:
    """The application of the sources that this process hosts; they share a group of their own.

    One group a set of sources: processes of different sources must not rebalance each other.
    """
    return Application(
        "-".join(("collectors", *sorted(config.sources))),
        broker=[f"kafka://{place}" for place in config.kafka.split(",")],
        broker_client_id=config.principal,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=SESSION_S,
        broker_commit_interval=1.0,
        consumer_group_instance_id=config.instance,
        consumer_auto_offset_reset="earliest",
        producer_request_timeout=PATIENCE_S,
        processing_guarantee="at_least_once",
        # A rebalance must not wait for a run that takes hours; what is unsettled comes again.
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
    )


class FaustPublisher:
    """`publishing.Publisher` over the application's producer.

    aiokafka's default partitioner is the same murmur2 as everybody else's.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def send(self, out: Outgoing) -> "asyncio.Future[Any]":
        sent = await self._app.producer.send(
            out.topic, out.key, out.value, out.partition, None, list(out.headers)
        )
        assert isinstance(sent, asyncio.Future)
        return sent


def attend(app: Application, sources: Iterable[str], collector: Collector) -> None:
    """Give every source's orders to the collector."""
    for source in sorted(sources):
        topic = app.topic(
            collect_orders(source),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

        async def orders(stream: Any) -> None:
            async for event in stream.noack().events():
                await collector.take(record_of(event.message), event.ack)

        app.agent(topic, name=f"collect.{source}")(orders)


def record_of(message: Any) -> Record:
    """A Faust message as everybody else's record."""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        _EPOCH + timedelta(seconds=message.timestamp or 0.0),
        tuple(pairs),
    )

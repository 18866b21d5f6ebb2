"""Faust's Kafka clients as we want them. Nothing here knows an order.

In at-least-once mode Faust opens its consumer with `read_uncommitted`
(faust/transport/drivers/aiokafka.py, `_create_worker_consumer`) and its producer without
idempotence; only its exactly-once mode, whose rebalances we do not trust, sets both. A collector
must not see an order of an aborted transaction, and a retried fragment must not lie there twice.
A test against the real broker pins the first.
"""

import logging
from collections.abc import Mapping
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

# While a broker is away aiokafka says so some sixty times a second; our reader of the log, which
# is in every process too, says it once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class _CommittedThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        assert hasattr(consumer, "_isolation_level"), "aiokafka keeps it under another name"
        # Read when the consumer starts, which is after this.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - there is no other way in
        return consumer


class CommittedConsumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)


class IdempotentProducer(driver.Producer):
    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class Transport(driver.Transport):
    Consumer = CommittedConsumer
    Producer = IdempotentProducer


class Application(faust.App):
    """A Faust application over our transport, without tables and therefore without folders."""

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)

    async def on_first_start(self) -> None:
        """Faust would make folders for table data here."""

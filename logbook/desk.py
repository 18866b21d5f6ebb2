"""A worker's orders: taken from its topics, and checked against the log before anything is done.

Rule 1: an order is a task only if the log says that it is pending (design: workers check orders
against the log). Forged, stale, replayed and aborted orders all end here.
Rule 2: a task's record is committed only after the worker said it is done, so a crash repeats it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from logbook.following import Following
from logbook.orderbook import OrderBook
from logbook.reporting import PATIENCE_S, Reporter
from plumbing import telemetry
from plumbing.kafka import Group, Producer, Record
from rights.orders import Order
from schemas.catalogue import ORDERS
from schemas.codec import UndecodableError, decode, decode_as
from schemas.wire import OrderMessage

FOLLOWER_PATIENCE_S: Final = 2.0
log = telemetry.get("logbook.desk")


@dataclass(frozen=True, slots=True)
class Task:
    """An order that is pending, the decision at which it was, and the record that brought it."""

    order: Order
    partition: int
    seq: int
    record: Record


class Desk:
    """Hands a worker one pending order after the other."""

    def __init__(
        self,
        group: Group,
        producer: Producer,
        following: Following,
        book: OrderBook,
        reporter: Reporter,
    ) -> None:
        self._group = group
        self._producer = producer
        self._following = following
        self._book = book
        self._reporter = reporter

    def open(self, topics: Sequence[str]) -> None:
        self._group.subscribe(topics, on_assign=lambda _: None, on_revoke=lambda _: None)

    def take(self, timeout: float) -> Task | None:
        """The next pending order, or None if there is none now."""
        self._following.check()
        for record in self._group.poll(1, timeout):
            task = self._examine(record)
            if task is None:
                self._commit(record)
            return task
        return None

    def _examine(self, record: Record) -> Task | None:
        try:
            message = decode_as(OrderMessage, record.value or b"")
            order = _order(message)
        except UndecodableError as failure:
            self._bury(record, failure.code)
            return None
        self._following.wait_for(message.partition, message.seq, FOLLOWER_PATIENCE_S)
        if not self.is_pending(order):
            log.info("order_not_pending", order_id=order.order_id, kind=type(order).__name__)
            return None
        return Task(order, message.partition, message.seq, record)

    def _bury(self, record: Record, code: str) -> None:
        letter = self._reporter.dead_letter(record, code)
        self._producer.send_and_wait([letter], PATIENCE_S)
        log.error("order_unreadable", topic=record.topic, offset=record.offset, code=code)

    def is_pending(self, order: Order) -> bool:
        """Whether the log says, now, that exactly this order is to be carried out."""
        with self._following.lock:
            pending = self._book.find(order.order_id)
            return pending is not None and pending.order == order

    def close(self) -> None:
        self._group.close()

    def done(self, task: Task) -> None:
        self._commit(task.record)

    def _commit(self, record: Record) -> None:
        self._group.commit({(record.topic, record.partition): record.offset + 1})


def _order(message: OrderMessage) -> Order:
    order: Order = decode(message.body)
    if not isinstance(order, ORDERS):
        raise UndecodableError("WRONG_MESSAGE")
    return order

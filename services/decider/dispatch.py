"""Which pending orders to send when; sends nothing itself.

Rule 1: a new order goes out at once, and after a start every pending one does.
Rule 2: it goes out again only when nothing was heard of it for a while, ever more rarely.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from plumbing.kafka import Outgoing
from rights.orders import (
    CollectSections,
    DestroyKeys,
    Order,
    PlanSections,
    ProbeSections,
    RemoveBundle,
    SealBundle,
    SendNotice,
    TreatSections,
)
from rights.subject import Subject, pending_orders
from schemas import topics
from schemas.codec import encode
from schemas.wire import OrderMessage

RESEND_MAX: Final = timedelta(minutes=10)


def topic_of(order: Order) -> str:
    match order:
        case CollectSections(source=source):
            return topics.collect_orders(source)
        case PlanSections() | TreatSections() | ProbeSections():
            return topics.erase_orders(order.source)
        case SealBundle() | RemoveBundle():
            return topics.ORDERS_SEAL
        case SendNotice():
            return topics.ORDERS_NOTIFY
        case DestroyKeys():
            return topics.ORDERS_KEYS


@dataclass(slots=True)
class _Sent:
    order: Order
    # Monotonic seconds of the last sending or the last sign of life.
    at_s: float
    patience_s: float


class Dispatch:
    """One partition's outstanding orders; times are monotonic seconds, passed in."""

    def __init__(self, partition: int, resend_after: timedelta) -> None:
        self._partition = partition
        self._patience_s = resend_after.total_seconds()
        self._sent: dict[str, _Sent] = {}
        self._of_subject: dict[str, frozenset[str]] = {}

    def after(self, subject: Subject, seq: int, *, at_s: float) -> list[Outgoing]:
        """The orders that a subject newly owes; those it no longer owes are forgotten."""
        owed = {order.order_id: order for order in pending_orders(subject)}
        for gone in self._of_subject.get(subject.ref, frozenset()) - owed.keys():
            del self._sent[gone]
        fresh = [order for order_id, order in owed.items() if order_id not in self._sent]
        for order in fresh:
            self._sent[order.order_id] = _Sent(order, at_s, self._patience_s)
        if owed:
            self._of_subject[subject.ref] = frozenset(owed)
        else:
            self._of_subject.pop(subject.ref, None)
        return [self._outgoing(order, seq) for order in fresh]

    def heard_of(self, order_id: str, *, at_s: float) -> None:
        """A worker gave a sign of life about an order."""
        if sent := self._sent.get(order_id):
            sent.at_s = at_s

    def overdue(self, seq: int, *, at_s: float) -> list[Outgoing]:
        """Orders of which nothing was heard for their patience, which then grows."""
        late = [s for s in self._sent.values() if at_s - s.at_s >= s.patience_s]
        for sent in late:
            sent.at_s = at_s
            sent.patience_s = min(sent.patience_s * 2, RESEND_MAX.total_seconds())
        return [self._outgoing(sent.order, seq) for sent in late]

    def restart(self, subjects: Iterable[Subject], seq: int, *, at_s: float) -> list[Outgoing]:
        """Everything owed, as if nothing had ever been sent."""
        self._sent.clear()
        self._of_subject.clear()
        return [out for subject in subjects for out in self.after(subject, seq, at_s=at_s)]

    def _outgoing(self, order: Order, seq: int) -> Outgoing:
        message = OrderMessage(partition=self._partition, seq=seq, body=encode(order))
        key = order.subject_ref.encode()
        return Outgoing(topic=topic_of(order), key=key, value=encode(message))

"""Which orders are pending, folded from the log by the same function the decider uses.

Keeps subjects, and of orders only those its owner wants.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rights.ledger import Ledger
from rights.orders import Order
from rights.subject import Request, Subject, pending_orders
from schemas.log import Entry


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending order and the last decision about its subject."""

    order: Order
    partition: int
    seq: int


class OrderBook:
    """The pending orders that `wants` accepts, after every entry applied so far."""

    def __init__(self, wants: Callable[[Order], bool] = lambda _: True) -> None:
        self.ledgers: dict[int, Ledger] = {}
        self._wants = wants
        self._pending: dict[str, Pending] = {}
        self._of_subject: dict[str, tuple[str, ...]] = {}

    def apply(self, entry: Entry) -> tuple[Pending, ...]:
        """Fold an entry; returns its subject's pending orders that are wanted."""
        decision = entry.decision
        ledger = self.ledgers.setdefault(decision.partition, Ledger(decision.partition))
        ledger.apply(decision, entry.events, entry.head)
        ref = decision.subject_ref
        if ref is None or ref not in ledger.subjects:
            return ()
        for order_id in self._of_subject.pop(ref, ()):
            del self._pending[order_id]
        owed = tuple(
            Pending(order, decision.partition, decision.seq)
            for order in pending_orders(ledger.subjects[ref])
            if self._wants(order)
        )
        if owed:
            self._of_subject[ref] = tuple(p.order.order_id for p in owed)
            self._pending.update((p.order.order_id, p) for p in owed)
        return owed

    def find(self, order_id: str) -> Pending | None:
        return self._pending.get(order_id)

    def all(self) -> tuple[Pending, ...]:
        return tuple(self._pending.values())

    def subject(self, ref: str) -> Subject | None:
        for ledger in self.ledgers.values():
            if found := ledger.subjects.get(ref):
                return found
        return None

    def request(self, subject_ref: str, request_id: str) -> Request | None:
        subject = self.subject(subject_ref)
        return subject.requests.get(request_id) if subject else None

"""What the log says: which orders are pending, which grants in force, and what was destroyed.

Rule 1: everything but `apply` is asked while holding the lock of the `Following` that applies.
Rule 2: the end of a grant is judged by the keyring's own clock, not by when anybody asks.
"""

from collections import deque
from datetime import datetime

from logbook.orderbook import OrderBook
from plumbing.clock import Clock
from plumbing.vault import Permit
from rights.events import DownloadGranted, SubjectKeysDestroyed
from rights.export.state import Export
from rights.orders import DestroyKeys, KeyScope
from rights.subject import Request
from schemas.log import Entry
from services.keyring.entitlements import permit_for_grant, permit_for_order
from services.keyring.store.destruction import Destroyed
from services.keyring.store.doom import Doom


class Standing:
    """Folds the log as the keyring needs it."""

    def __init__(self, clock: Clock) -> None:
        self.book = OrderBook()
        self._clock = clock
        self._grants: dict[str, tuple[str, str]] = {}
        self._granted: deque[tuple[datetime, str]] = deque()
        self._destroyed: list[Destroyed] | None = []

    def apply(self, entry: Entry) -> None:
        self.book.apply(entry)
        ref, at = entry.decision.subject_ref, entry.decision.decided_at
        if ref is None:
            return
        for event in entry.events:
            match event:
                case DownloadGranted():
                    self._grants[event.grant_id] = (ref, event.request_id)
                    self._granted.append((event.until, event.grant_id))
                    self._forget_grants(at)
                case SubjectKeysDestroyed() if self._destroyed is not None:
                    doom = self._doom(ref, event.request_id, KeyScope(event.scope))
                    self._destroyed.append(
                        Destroyed(doom=doom, fingerprints=event.fingerprints, at=at)
                    )
                case _:
                    pass

    def _forget_grants(self, now: datetime) -> None:
        # In order of granting, which is nearly that of ending; a straggler stays a little longer.
        while self._granted and self._granted[0][0] <= now:
            self._grants.pop(self._granted.popleft()[1], None)

    def permit_for_order(self, order_id: str) -> Permit | None:
        pending = self.book.find(order_id)
        return None if pending is None else permit_for_order(pending.order)

    def permit_for_grant(self, grant_id: str) -> Permit | None:
        """None also when its time is over, or the archive's, or the export ended otherwise."""
        found = self._grants.get(grant_id)
        if found is None:
            return None
        subject_ref, request_id = found
        subject = self.book.subject(subject_ref)
        export = subject.requests.get(request_id) if subject else None
        if subject is None or not isinstance(export, Export):
            return None
        now = self._clock.now()
        if not any(g.grant_id == grant_id and now < g.until for g in export.grants):
            return None
        return permit_for_grant(export, subject_ref, subject.tenant_ref)

    def doom(self, order: DestroyKeys) -> Doom:
        """What an order to destroy keys is about."""
        return self._doom(order.subject_ref, order.request_id, order.scope)

    def owed(self) -> tuple[DestroyKeys, ...]:
        """Every destruction that is pending now: what a keyring that starts still has to do."""
        return tuple(p.order for p in self.book.all() if isinstance(p.order, DestroyKeys))

    def take_destroyed(self) -> tuple[Destroyed, ...]:
        """What was destroyed according to the log so far; asked once, at the start."""
        taken, self._destroyed = tuple(self._destroyed or ()), None
        return taken

    def _doom(self, subject_ref: str, request_id: str, scope: KeyScope) -> Doom:
        request = self.book.request(subject_ref, request_id)
        return Doom(
            subject_ref=subject_ref,
            request_id=request_id,
            scope=scope,
            vault_ids=_vault_ids(request) if request and scope is KeyScope.REQUEST else (),
        )


def _vault_ids(request: Request) -> tuple[str, ...]:
    """The rows that were put before the request had an id; reasons are the audit's and stay."""
    contents = request.contents_vault_id if isinstance(request, Export) else None
    return tuple(filter(None, (request.handles_vault_id, request.comms_vault_id, contents)))

"""What the views say, to those who may see it.

Rule 1: a person sees their own requests, an administrator or privacy officer their tenant's.
Rule 2: what one may not see is not found.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from plumbing.vault import Vault
from plumbing.web import Call, Caller, Problem
from projections.queries import Cursor, Filter, Queries, RequestView
from rights.references import tenant_ref
from services.request_api.models import RequestBody
from services.request_api.refusals import not_found, views_behind

OVERSEERS: Final = frozenset({"system_admin", "admin", "privacy_officer", "auditor"})
REFERENCE: Final = re.compile(r"(?:EXP|ERA)-\d{4}-\d{5,12}")
POSITION: Final = re.compile(r"^(\d{1,4})-(\d{1,12})$")
_REQUEST_ID: Final = re.compile(r"[0-9a-f]{32}")
WAIT_S: Final = 2.0
_ENDED: Final = ("COMPLETED", "FAILED", "CANCELLED", "REJECTED")
_PERCENT_OF_PHASE: Final = {
    "SEAL": 85,
    "NOTIFY": 95,
    "CHECK": 10,
    "TREAT": 40,
    "PROBE": 70,
    "DESTROY_KEYS": 85,
    "FORGET": 97,
}
_COLLECTED_SHARE: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    queries: Queries
    vault: Vault
    # How far we know the log, by partition; the views may be behind it.
    known_seqs: Callable[[], Mapping[int, int]]

    def visible(self, caller: Caller, reference: str) -> RequestView:
        """The request, if this caller may see it.

        Raises:
            Problem: 404, whether it is another's or does not exist.
        """
        # Whose it must be is asked first: if the keyring does not answer, it does not for what
        # does not exist either.
        is_overseer = bool(caller.roles & OVERSEERS)
        own = None if is_overseer else self.own_ref(caller)
        view = self.again(caller, reference)
        if not is_overseer and view.subject_ref != own:
            # As for what does not exist: also while the views are behind.
            self._await_views()
            raise not_found()
        return view

    def again(self, caller: Caller, reference: str) -> RequestView:
        """A request of the caller's tenant; only for what was found to be visible before."""
        tenant = tenant_ref(tenant_of(caller))
        if not REFERENCE.fullmatch(reference):
            raise not_found()
        view = self.queries.request(tenant, reference)
        if view is None:
            # Not found is an answer only for views that have seen all that we have.
            self._await_views()
            view = self.queries.request(tenant, reference)
        if view is None:
            raise not_found()
        return view

    def _await_views(self) -> None:
        for partition, seq in self.known_seqs().items():
            if not self.queries.wait_for(partition, seq, timeout=WAIT_S):
                raise views_behind()

    def own_ref(self, caller: Caller) -> str | None:
        return self.vault.find(tenant_of(caller), caller.subject)

    def listed(
        self, caller: Caller, after: str | None, limit: int
    ) -> tuple[list[RequestBody], str | None]:
        """A page of what the caller may see, newest first, and the cursor of the next."""
        which = Filter()
        if not caller.roles & OVERSEERS:
            own = self.own_ref(caller)
            if own is None:
                return [], None
            which = Filter(subject_ref=own)
        cursor = _cursor(after) if after else None
        tenant = tenant_ref(tenant_of(caller))
        page = self.queries.requests(tenant, which, after=cursor, limit=limit)
        return [self.body(view) for view in page.rows], page.next.encode() if page.next else None

    def await_position(self, call: Call) -> None:
        """Read your writes: answer at or after the position the caller names, or not yet."""
        named = call.request.headers.get("habeas-position", "")
        if not named:
            return
        match = POSITION.match(named)
        if match is None:
            raise Problem(400, "VALIDATION_FAILED", "Habeas-Position is not one of ours.")
        if not self.queries.wait_for(int(match[1]), int(match[2]), timeout=WAIT_S):
            raise views_behind()

    def percent(self, view: RequestView) -> int:
        """How far a request is, from 0 to 100; never 100 before its end."""
        if view.state in _ENDED:
            return 100
        if view.phase != "COLLECT":
            return _PERCENT_OF_PHASE.get(view.phase, 0)
        sources = [s for s in self.queries.sections(view.request_id) if not s.section]
        if not sources:
            return 0
        running = {p.source: p.percent for p in self.queries.progress(view.request_id)}
        done = [
            100 if s.collected_at is not None else min(99, running.get(s.source, 0))
            for s in sources
        ]
        return sum(done) * _COLLECTED_SHARE // (100 * len(done))

    def body(self, view: RequestView) -> RequestBody:
        return RequestBody(
            reference=view.reference,
            type=view.kind.lower(),
            state=view.state,
            phase=view.phase,
            outcome=view.outcome,
            percent=self.percent(view),
            waiting_for=f"{view.waiting_source}: {view.waiting_code}"
            if view.waiting_code
            else None,
            failure=view.failure or None,
            failed_source=view.failed_source or None,
            filed_by=view.filed_by.lower(),
            requested_at=view.filed_at,
            due_at=view.deadline_at,
            expires_at=view.expires_at,
            is_removed=view.is_removed,
            grace_ends_at=view.grace_ends_at,
            grace_skipped=view.grace_skipped if view.kind == "ERASURE" else None,
            version=view.version,
        )


def _cursor(text: str) -> Cursor:
    cursor: Cursor | None = None
    with suppress(ValueError):
        cursor = Cursor.decode(text)
    if cursor is None or not _REQUEST_ID.fullmatch(cursor.request_id):
        raise Problem(400, "VALIDATION_FAILED", "The cursor is not one of ours.")
    return cursor


def tenant_of(caller: Caller) -> str:
    """The tenant comes from the token only, never from a path or a body (T-18)."""
    if caller.tenant is None:
        raise Problem(
            403,
            "TENANT_MISSING",
            "Your access token names no workspace.",
            next_step="Sign in to a workspace and use that token.",
        )
    return caller.tenant

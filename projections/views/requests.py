"""One row a request, as its events left it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from projections.views.table import Row, Table
from rights.erasure.state import Erasure
from rights.export.state import Export
from rights.subject import Request

EXPORT: Final = "EXPORT"
ERASURE: Final = "ERASURE"
TABLE: Final = Table(
    name="requests",
    columns=(
        *("request_id", "tenant_ref", "subject_ref", "version", "partition", "seq"),
        *("reference", "number", "kind", "state", "phase", "outcome", "failure", "failed_source"),
        *("filed_by", "filer_ref", "filed_at", "deadline_at", "moved_at"),
        *("profile", "policy_version", "language", "notice"),
        *("waiting_source", "waiting_code", "waiting_since"),
        *("sections", "object_key", "contents_vault_id", "expires_at", "is_expired", "is_removed"),
        *("plan_hash", "grace_ends_at", "grace_skipped", "skip_ground"),
    ),
    key=("request_id",),
)
_NO_ARCHIVE: Final[Row] = ([], None, None, None, False, False)
_NO_PLAN: Final[Row] = ("", None, False, None)


@dataclass(slots=True)
class Folded:
    """A request, whose it is, and how many decisions were about it; the last at (partition, seq)."""

    request: Request
    tenant_ref: str
    subject_ref: str
    version: int
    partition: int
    seq: int


def row(folded: Folded) -> Row:
    request = folded.request
    whose = (folded.tenant_ref, folded.subject_ref)
    place = (folded.version, folded.partition, folded.seq)
    return (request.request_id, *whose, *place, *_shared(request), *_own(request))


def _shared(request: Request) -> Row:
    return (
        request.reference,
        request.number,
        EXPORT if isinstance(request, Export) else ERASURE,
        request.state,
        request.phase,
        request.outcome,
        request.failure,
        request.failed_source,
        request.filed_by,
        request.filer_ref,
        request.filed_at,
        request.deadline_at,
        request.moved_at,
        request.policy.profile,
        request.policy.version,
        request.language,
        request.notice,
        *_waiting(request),
    )


def _waiting(request: Request) -> tuple[str, str, datetime | None]:
    """The source that an open request has waited for the longest, why, and since when."""
    if not request.is_open:
        return "", "", None
    waits = [
        (run.waiting_since, source, run.waiting_code)
        for source, run in request.sources.items()
        if run.waiting_since
    ]
    if not waits:
        return "", "", None
    since, source, code = min(waits)
    return source, code, since


def _own(request: Request) -> Row:
    match request:
        case Export():
            return (
                list(request.sections),
                request.object_key,
                request.contents_vault_id,
                request.expires_at,
                request.is_expired,
                request.is_removed,
                *_NO_PLAN,
            )
        case Erasure():
            plan = (request.plan_hash, request.grace_ends_at)
            return (*_NO_ARCHIVE, *plan, request.grace_skipped, request.skip_ground)

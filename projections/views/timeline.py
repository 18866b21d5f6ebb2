"""What happened to a request, event by event, and who did it.

Rule 1: `details` holds the fields listed here and no others, so that a new field of an event is
seen only after somebody decided that it may be. Vault ids and token digests are never among them.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from plumbing.postgres import Connection, TupleRow, sql
from projections.views.table import Row, Table
from rights import events as ev
from rights.decisions import Decision
from rights.policies import Role
from rights.reports import Extent
from schemas.codec import decode

TABLE: Final = Table(
    name="timeline",
    columns=(
        *("request_id", "partition", "seq", "event_index", "at", "event_type", "command_type"),
        *("actor_role", "actor_ref", "details", "body"),
    ),
    key=("request_id", "seq", "event_index"),
)
_FILED: Final = ("reference", "number", "language", "deadline_at")
SHOWN: Final[dict[type[ev.RequestEvent], tuple[str, ...]]] = {
    ev.ExportSubmitted: (*_FILED, "needs_approval", "sections"),
    ev.ErasureSubmitted: _FILED,
    ev.ExportApproved: (),
    ev.CollectionStarted: ("source", "run_id"),
    ev.SectionsCollected: ("source", "extent"),
    ev.SourceBecameUnavailable: ("source", "code"),
    ev.SectionsLost: ("source",),
    ev.BundleSealed: ("ciphertext_sha256", "size_bucket", "outcome", "expires_at"),
    ev.NoticeSent: ("template",),
    ev.NoticeFailed: ("template", "code"),
    ev.DownloadGranted: ("grant_id", "until"),
    ev.BundleExpired: (),
    ev.BundleRemoved: (),
    ev.SectionsPlanned: ("source", "declaration_hash", "items", "is_recheck"),
    ev.PlanFrozen: ("plan_hash",),
    ev.ErasureConfirmed: ("grace_skipped", "skip_ground"),
    ev.GracePeriodStarted: ("ends_at",),
    ev.GracePeriodSkipped: ("ground",),
    ev.GracePeriodEnded: (),
    ev.PointOfNoReturnPassed: (),
    ev.StepStarted: ("source", "order_id"),
    ev.SectionsTreated: ("source", "results"),
    ev.SectionsProbed: ("source", "watermark", "results"),
    ev.ItemHeld: ("source", "code"),
    ev.SubjectKeysDestroyed: ("scope", "fingerprints"),
    ev.RequestCompleted: ("outcome",),
    ev.RequestFailed: ("code", "source"),
    ev.RequestCancelled: (),
}
# Where an event names who acted: the field of the role, and the field of the reference.
_ACTORS: Final[dict[type[ev.RequestEvent], tuple[str | None, str]]] = {
    ev.ExportSubmitted: ("filed_by", "filer_ref"),
    ev.ErasureSubmitted: ("filed_by", "filer_ref"),
    ev.ErasureConfirmed: ("actor_role", "actor_ref"),
    ev.DownloadGranted: ("actor_role", "actor_ref"),
    ev.RequestCancelled: ("actor_role", "actor_ref"),
    # The event does not say in which role somebody approved.
    ev.ExportApproved: (None, "approver_ref"),
}


def row(event: ev.RequestEvent, index: int, decision: Decision) -> Row:
    role, ref = _actor(event, decision)
    return (
        event.request_id,
        decision.partition,
        decision.seq,
        index,
        decision.decided_at,
        type(event).__name__,
        decision.command.type,
        role,
        ref,
        details(event).decode(),
        decision.events[index].body,
    )


def events_of(
    connection: Connection[TupleRow], schema: str, request_ids: list[str]
) -> Mapping[str, list[tuple[datetime, ev.RequestEvent]]]:
    """Every event of these requests as it is on the log, in order."""
    found: defaultdict[str, list[tuple[datetime, ev.RequestEvent]]] = defaultdict(list)
    query = sql.SQL(
        "SELECT request_id, at, body FROM {} WHERE request_id = ANY(%s)"
        " ORDER BY request_id, seq, event_index"
    ).format(sql.Identifier(schema, TABLE.name))
    for request_id, at, body in connection.execute(query, (request_ids,)):
        found[request_id].append((at, decode(bytes(body))))
    return found


def details(event: ev.RequestEvent) -> bytes:
    """What a reader of the timeline may see of an event, as JSON."""
    shown = {name: _plain(getattr(event, name)) for name in SHOWN[type(event)]}
    if isinstance(event, ev.ExportSubmitted | ev.ErasureSubmitted):
        shown |= {"profile": event.policy.profile, "policy_version": event.policy.version}
    return orjson.dumps(shown)


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain(item) for item in value]
        case Extent():
            # Where the ciphertext lies is of no use to a reader, and it is gone after two days.
            return {"run_id": value.run_id, "chunks": value.chunks, "sections": value.sections}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        case _:
            return value


def _actor(event: ev.RequestEvent, decision: Decision) -> tuple[str | None, str | None]:
    named = _ACTORS.get(type(event))
    if named is not None:
        role, ref = named
        return (getattr(event, role) if role else None), getattr(event, ref)
    kind = decision.command.type
    if kind.startswith("Report"):
        return Role.WORKER, decision.command.issuer
    return (Role.CLOCK, None) if kind == "FireTimer" else (None, None)

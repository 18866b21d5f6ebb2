"""One export as its events left it; folding validates nothing and never raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rights import events as ev
from rights.lifecycle import TERMINAL, Outcome, Phase, State
from rights.policies import Policy, Role
from rights.reports import Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRun:
    """How far the collection of one source is."""

    attempt: int = 1
    run_id: str | None = None
    extent: Extent | None = None
    waiting_code: str = ""
    waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    grant_id: str
    token_sha256: str
    actor_role: Role
    actor_ref: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    request_id: str
    reference: str
    number: int
    filed_by: Role
    filer_ref: str
    filed_at: datetime
    deadline_at: datetime
    moved_at: datetime
    sections: tuple[str, ...]
    handles_vault_id: str
    comms_vault_id: str | None
    reason_vault_id: str | None
    language: str
    policy: Policy
    state: State
    phase: Phase = Phase.NONE
    outcome: Outcome | None = None
    failure: str = ""
    failed_source: str = ""
    sources: Mapping[str, SourceRun] = field(default_factory=dict)
    seal_attempt: int = 1
    object_key: str | None = None
    contents_vault_id: str | None = None
    expires_at: datetime | None = None
    is_expired: bool = False
    is_removed: bool = False
    notice: str = ""
    keys_destroyed: bool = False
    grants: tuple[Grant, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state not in TERMINAL

    @property
    def has_live_archive(self) -> bool:
        return self.state is State.COMPLETED and not self.is_expired

    @property
    def was_begun(self) -> bool:
        """Whether anything of it may exist outside the log."""
        return any(run.run_id or run.attempt > 1 for run in self.sources.values())


def submitted(event: ev.ExportSubmitted, at: datetime) -> Export:
    return Export(
        request_id=event.request_id,
        reference=event.reference,
        number=event.number,
        filed_by=event.filed_by,
        filer_ref=event.filer_ref,
        filed_at=at,
        deadline_at=event.deadline_at,
        moved_at=at,
        sections=event.sections,
        handles_vault_id=event.handles_vault_id,
        comms_vault_id=event.comms_vault_id,
        reason_vault_id=event.reason_vault_id,
        language=event.language,
        policy=event.policy,
        state=State.AWAITING_CONFIRMATION if event.needs_approval else State.PENDING,
        sources={source: SourceRun() for source in event.policy.sources},
    )


def evolve(export: Export, event: ev.ExportEvent | ev.SharedEvent, at: datetime) -> Export:
    """The export after `event`, recorded at `at`."""
    moved = _moved(export, event, at)
    return moved if moved.moved_at == at else replace(moved, moved_at=at)


def _moved(export: Export, event: ev.ExportEvent | ev.SharedEvent, at: datetime) -> Export:
    match event:
        case ev.ExportApproved():
            return replace(export, state=State.PENDING)
        case ev.CollectionStarted(source=source, run_id=run_id):
            run = replace(export.sources[source], run_id=run_id)
            return replace(
                _with_run(export, source, run), state=State.IN_PROGRESS, phase=Phase.COLLECT
            )
        case ev.SectionsCollected(source=source, extent=extent):
            run = replace(
                export.sources[source],
                run_id=extent.run_id,
                extent=extent,
                waiting_code="",
                waiting_since=None,
            )
            return _after_collection(_with_run(export, source, run))
        case ev.SectionsLost(source=source):
            run = SourceRun(attempt=export.sources[source].attempt + 1)
            return replace(
                _with_run(export, source, run),
                phase=Phase.COLLECT,
                seal_attempt=export.seal_attempt + 1,
            )
        case ev.SourceBecameUnavailable(source=source, code=code):
            known = export.sources[source]
            run = replace(known, waiting_code=code, waiting_since=known.waiting_since or at)
            return _with_run(export, source, run)
        case ev.BundleSealed():
            return replace(
                export,
                phase=Phase.NOTIFY,
                object_key=event.object_key,
                contents_vault_id=event.contents_vault_id,
                expires_at=event.expires_at,
                outcome=event.outcome,
            )
        case ev.DownloadGranted():
            grant = Grant(
                grant_id=event.grant_id,
                token_sha256=event.token_sha256,
                actor_role=event.actor_role,
                actor_ref=event.actor_ref,
                until=event.until,
            )
            live = tuple(g for g in export.grants if g.until > at)
            return replace(export, grants=(*live, grant))
        case ev.BundleExpired():
            return replace(export, is_expired=True, grants=())
        case ev.BundleRemoved():
            return replace(export, is_removed=True)
        case ev.NoticeSent():
            return replace(export, notice="SENT")
        case ev.NoticeFailed():
            return replace(export, notice="FAILED")
        case ev.SubjectKeysDestroyed():
            return replace(export, keys_destroyed=True)
        case _:
            return _ended(export, event)


def _ended(export: Export, event: ev.ExportEvent | ev.SharedEvent) -> Export:
    match event:
        case ev.RequestCompleted(outcome=outcome):
            return replace(export, state=State.COMPLETED, phase=Phase.NONE, outcome=outcome)
        case ev.RequestFailed(code=code, source=source):
            return replace(
                export,
                state=State.FAILED,
                phase=Phase.NONE,
                outcome=None,
                failure=code,
                failed_source=source,
                grants=(),
            )
        case ev.RequestCancelled():
            return replace(export, state=State.CANCELLED, phase=Phase.NONE, outcome=None)
        case _:
            return export


def _with_run(export: Export, source: str, run: SourceRun) -> Export:
    return replace(export, sources={**export.sources, source: run})


def _after_collection(export: Export) -> Export:
    is_whole = all(run.extent for run in export.sources.values())
    return replace(export, state=State.IN_PROGRESS, phase=Phase.SEAL if is_whole else Phase.COLLECT)

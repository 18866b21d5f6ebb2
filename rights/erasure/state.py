"""One erasure as its events left it; folding validates nothing and never raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rights import events as ev
from rights.erasure.plan import SourcePlan
from rights.lifecycle import IRREVERSIBLE, TERMINAL, Outcome, Phase, State
from rights.orders import KeyScope
from rights.policies import Policy, Role
from rights.reports import ProbedSection, TreatedSection


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceErasure:
    """How far the erasure of one source is."""

    plan: SourcePlan | None = None
    is_rechecked: bool = False
    started_order: str = ""
    treated: tuple[TreatedSection, ...] | None = None
    probed: tuple[ProbedSection, ...] | None = None
    held_code: str = ""
    waiting_code: str = ""
    waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    request_id: str
    reference: str
    number: int
    filed_by: Role
    filer_ref: str
    filed_at: datetime
    deadline_at: datetime
    moved_at: datetime
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
    sources: Mapping[str, SourceErasure] = field(default_factory=dict)
    plan_hash: str = ""
    is_confirmed: bool = False
    grace_skipped: bool = False
    skip_ground: str | None = None
    confirm_reason_vault_id: str | None = None
    grace_ends_at: datetime | None = None
    notice: str = ""
    destroyed: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        return self.state not in TERMINAL

    @property
    def is_irreversible(self) -> bool:
        return self.phase in IRREVERSIBLE or self.state is State.ON_HOLD


def submitted(event: ev.ErasureSubmitted, at: datetime) -> Erasure:
    is_own = event.filed_by is Role.SUBJECT
    return Erasure(
        request_id=event.request_id,
        reference=event.reference,
        number=event.number,
        filed_by=event.filed_by,
        filer_ref=event.filer_ref,
        filed_at=at,
        deadline_at=event.deadline_at,
        moved_at=at,
        handles_vault_id=event.handles_vault_id,
        comms_vault_id=event.comms_vault_id,
        reason_vault_id=event.reason_vault_id,
        language=event.language,
        policy=event.policy,
        state=State.AWAITING_GRACE if is_own else State.AWAITING_CONFIRMATION,
        sources={source: SourceErasure() for source in event.policy.sources},
    )


def evolve(erasure: Erasure, event: ev.ErasureEvent | ev.SharedEvent, at: datetime) -> Erasure:
    """The erasure after `event`, recorded at `at`."""
    return replace(_moved(erasure, event, at), moved_at=at)


def _moved(erasure: Erasure, event: ev.ErasureEvent | ev.SharedEvent, at: datetime) -> Erasure:
    match event:
        case ev.PlanFrozen(plan_hash=plan_hash):
            return replace(erasure, plan_hash=plan_hash)
        case ev.ErasureConfirmed():
            return replace(
                erasure,
                is_confirmed=True,
                grace_skipped=event.grace_skipped,
                skip_ground=event.skip_ground,
                confirm_reason_vault_id=event.reason_vault_id,
            )
        case ev.GracePeriodStarted(ends_at=ends_at):
            return replace(erasure, state=State.AWAITING_GRACE, grace_ends_at=ends_at)
        case ev.GracePeriodSkipped() | ev.GracePeriodEnded():
            return replace(erasure, state=State.IN_PROGRESS, phase=Phase.CHECK)
        case ev.PointOfNoReturnPassed():
            return replace(erasure, phase=Phase.TREAT)
        case ev.NoticeSent():
            return replace(erasure, notice="SENT", phase=Phase.FORGET)
        case ev.NoticeFailed():
            return replace(erasure, notice="FAILED", phase=Phase.FORGET)
        case ev.SubjectKeysDestroyed(scope=KeyScope.REQUEST):
            return replace(erasure, destroyed=erasure.destroyed | {KeyScope.REQUEST})
        case ev.SubjectKeysDestroyed(scope=scope):
            has_letter = erasure.comms_vault_id and scope == KeyScope.CONTENT
            return replace(
                erasure,
                destroyed=erasure.destroyed | {scope},
                phase=Phase.NOTIFY if has_letter else Phase.FORGET,
            )
        case ev.RequestCompleted(outcome=outcome):
            return replace(erasure, state=State.COMPLETED, phase=Phase.NONE, outcome=outcome)
        case ev.RequestFailed(code=code, source=source):
            return replace(
                erasure,
                state=State.FAILED,
                phase=Phase.NONE,
                failure=code,
                failed_source=source,
            )
        case ev.RequestCancelled():
            return replace(erasure, state=State.CANCELLED, phase=Phase.NONE)
        case _:
            return _source_moved(erasure, event, at)


def _source_moved(
    erasure: Erasure, event: ev.ErasureEvent | ev.SharedEvent, at: datetime
) -> Erasure:
    match event:
        case ev.SectionsPlanned(is_recheck=True):
            return _with(erasure, event.source, is_rechecked=True, **_ANSWERED)
        case ev.SectionsPlanned():
            plan = SourcePlan(declaration_hash=event.declaration_hash, items=event.items)
            return _with(erasure, event.source, plan=plan, **_ANSWERED)
        case ev.StepStarted(source=source, order_id=order_id):
            return _with(erasure, source, started_order=order_id)
        case ev.SectionsTreated(source=source, results=results):
            treated = _with(erasure, source, treated=results, **_ANSWERED)
            is_whole = all(s.treated is not None for s in treated.sources.values())
            return replace(treated, phase=Phase.PROBE) if is_whole else treated
        case ev.SectionsProbed(source=source, results=probed):
            after = _with(erasure, source, probed=probed, **_ANSWERED)
            is_whole = all(s.probed is not None for s in after.sources.values())
            return replace(after, phase=Phase.DESTROY_KEYS) if is_whole else after
        case ev.ItemHeld(source=source, code=code):
            held = _with(erasure, source, held_code=code)
            return replace(held, state=State.ON_HOLD, failure=code, failed_source=source)
        case ev.SourceBecameUnavailable(source=source, code=code):
            since = erasure.sources[source].waiting_since or at
            return _with(erasure, source, waiting_code=code, waiting_since=since)
        case _:
            return erasure


_ANSWERED: dict[str, object] = {"waiting_code": "", "waiting_since": None}


def _with(erasure: Erasure, source: str, **changes: object) -> Erasure:
    run = replace(erasure.sources[source], **changes)  # type: ignore[arg-type] # checked by tests
    return replace(erasure, sources={**erasure.sources, source: run})

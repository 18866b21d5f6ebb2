"""Orders and timers of an erasure: pure functions of its state."""

from collections.abc import Iterator

from rights.erasure.state import Erasure
from rights.lifecycle import Phase, State
from rights.orders import (
    DestroyKeys,
    KeyScope,
    Order,
    PlanSections,
    ProbeSections,
    SendNotice,
    Template,
    TreatSections,
)
from rights.references import derived_id
from rights.timers import EXTENT_USABLE, NOTICE_PATIENCE, Timer, TimerName

_PLANNING = (State.AWAITING_CONFIRMATION, State.AWAITING_GRACE)
# Nothing was erased, so what the request itself put into the vault has no further use.
_WITHOUT_EFFECT = (State.CANCELLED, State.FAILED)


def pending_orders(erasure: Erasure, subject_ref: str, tenant_ref: str) -> Iterator[Order]:
    if erasure.state in _PLANNING:
        yield from _plan(erasure, subject_ref, tenant_ref, is_recheck=False)
    if erasure.state in _WITHOUT_EFFECT and KeyScope.REQUEST not in erasure.destroyed:
        yield _destroy(erasure, subject_ref, tenant_ref, KeyScope.REQUEST)
    if erasure.state is not State.IN_PROGRESS:
        return
    match erasure.phase:
        case Phase.CHECK:
            yield from _plan(erasure, subject_ref, tenant_ref, is_recheck=True)
        case Phase.TREAT:
            yield from _treat(erasure, subject_ref, tenant_ref)
        case Phase.PROBE:
            yield from _probe(erasure, subject_ref, tenant_ref)
        case Phase.DESTROY_KEYS:
            yield _destroy(erasure, subject_ref, tenant_ref, KeyScope.CONTENT)
        case Phase.NOTIFY:
            yield _notice(erasure, subject_ref, tenant_ref)
        case Phase.FORGET:
            yield _destroy(erasure, subject_ref, tenant_ref, KeyScope.COMMS)
        case _:
            return


def _plan(
    erasure: Erasure, subject_ref: str, tenant_ref: str, *, is_recheck: bool
) -> Iterator[Order]:
    for source, run in sorted(erasure.sources.items()):
        if run.plan is None or (is_recheck and not run.is_rechecked):
            # A source that was never planned is planned first, also when grace was over sooner.
            rechecks = is_recheck and run.plan is not None
            name = "recheck" if rechecks else "plan"
            yield PlanSections(
                order_id=derived_id(name, erasure.request_id, source),
                request_id=erasure.request_id,
                subject_ref=subject_ref,
                tenant_ref=tenant_ref,
                fence=2 if rechecks else 1,
                source=source,
                handles_vault_id=erasure.handles_vault_id,
                is_recheck=rechecks,
            )


def _treat(erasure: Erasure, subject_ref: str, tenant_ref: str) -> Iterator[Order]:
    for source, run in sorted(erasure.sources.items()):
        if run.treated is None and run.plan is not None:
            yield TreatSections(
                order_id=derived_id("treat", erasure.request_id, source),
                request_id=erasure.request_id,
                subject_ref=subject_ref,
                tenant_ref=tenant_ref,
                fence=3,
                source=source,
                handles_vault_id=erasure.handles_vault_id,
                plan_hash=erasure.plan_hash,
                items=run.plan.items,
            )


def _probe(erasure: Erasure, subject_ref: str, tenant_ref: str) -> Iterator[Order]:
    for source, run in sorted(erasure.sources.items()):
        if run.probed is None:
            yield ProbeSections(
                order_id=derived_id("probe", erasure.request_id, source),
                request_id=erasure.request_id,
                subject_ref=subject_ref,
                tenant_ref=tenant_ref,
                fence=4,
                source=source,
                handles_vault_id=erasure.handles_vault_id,
            )


def _destroy(erasure: Erasure, subject_ref: str, tenant_ref: str, scope: KeyScope) -> DestroyKeys:
    return DestroyKeys(
        order_id=derived_id("keys", erasure.request_id, scope),
        request_id=erasure.request_id,
        subject_ref=subject_ref,
        tenant_ref=tenant_ref,
        fence=1,
        scope=scope,
    )


def _notice(erasure: Erasure, subject_ref: str, tenant_ref: str) -> SendNotice:
    return SendNotice(
        order_id=derived_id("notice", erasure.request_id, Template.ERASURE_COMPLETED),
        request_id=erasure.request_id,
        subject_ref=subject_ref,
        tenant_ref=tenant_ref,
        fence=1,
        template=Template.ERASURE_COMPLETED,
        reference=erasure.reference,
        language=erasure.language,
        comms_vault_id=erasure.comms_vault_id or "",
    )


def timers(erasure: Erasure) -> Iterator[Timer]:
    request_id = erasure.request_id
    if erasure.state is State.AWAITING_GRACE and erasure.grace_ends_at:
        yield Timer(request_id=request_id, name=TimerName.GRACE_END, due_at=erasure.grace_ends_at)
    if erasure.state is not State.IN_PROGRESS:
        return
    if erasure.phase is Phase.NOTIFY:
        due_at = erasure.moved_at + NOTICE_PATIENCE
        yield Timer(request_id=request_id, name=TimerName.NOTICE_GIVE_UP, due_at=due_at)
        return
    waits = [run.waiting_since for run in erasure.sources.values() if run.waiting_since]
    if waits:
        due_at = min(waits) + erasure.policy.wait_max
        yield Timer(request_id=request_id, name=TimerName.WAIT_MAX, due_at=due_at)
    if erasure.phase is Phase.CHECK:
        due_at = erasure.moved_at + EXTENT_USABLE
        yield Timer(request_id=request_id, name=TimerName.STALLED, due_at=due_at)

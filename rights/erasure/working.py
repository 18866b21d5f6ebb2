"""What may follow a worker's report about an erasure."""

from dataclasses import replace

from rights import commands as cmd
from rights import events as ev
from rights import reports as rp
from rights.decisions import Accepted, Answer, Ignored
from rights.erasure.deciding import blocking_guard
from rights.erasure.owing import pending_orders
from rights.erasure.plan import SourcePlan, is_covered, plan_hash
from rights.erasure.state import Erasure
from rights.lifecycle import Outcome
from rights.orders import KeyScope, answers_one_of


def report(
    report: rp.Report, erasure: Erasure, *, attested: cmd.Attested, asked: cmd.Asked
) -> Answer:
    """Believes a report only while its order is pending; everything else is stale."""
    if not answers_one_of(pending_orders(erasure, asked.subject_ref, asked.tenant_ref), report):
        return Ignored()
    request_id = erasure.request_id
    match report:
        case rp.ReportSectionsPlanned():
            return _planned(report, erasure, attested)
        case rp.ReportStepStarted(source=source, order_id=order_id):
            if erasure.sources[source].started_order == order_id:
                return Ignored()
            started = ev.StepStarted(request_id=request_id, source=source, order_id=order_id)
            return Accepted((started,))
        case rp.ReportSectionsTreated(source=source, results=treated):
            return Accepted(
                (ev.SectionsTreated(request_id=request_id, source=source, results=treated),)
            )
        case rp.ReportSectionsProbed():
            return Accepted((_probed(report),))
        case rp.ReportSourceUnavailable(source=source, code=code):
            if erasure.sources[source].waiting_code == code:
                return Ignored()
            return Accepted(
                (ev.SourceBecameUnavailable(request_id=request_id, source=source, code=code),)
            )
        case rp.ReportSourceRefused(source=source, code=code):
            if erasure.is_irreversible:
                return Accepted((ev.ItemHeld(request_id=request_id, source=source, code=code),))
            return Accepted((ev.RequestFailed(request_id=request_id, code=code, source=source),))
        case rp.ReportKeysDestroyed():
            return Accepted(_destroyed(report, erasure))
        case rp.ReportNoticeSent():
            return Accepted((ev.NoticeSent(request_id=request_id, template="ERASURE_COMPLETED"),))
        case rp.ReportNoticeFailed(code=code):
            failed = ev.NoticeFailed(request_id=request_id, template="ERASURE_COMPLETED", code=code)
            return Accepted((failed,))
        case _:
            return Ignored()


def _planned(report: rp.ReportSectionsPlanned, erasure: Erasure, attested: cmd.Attested) -> Answer:
    known = erasure.sources[report.source]
    fresh = SourcePlan(declaration_hash=report.declaration_hash, items=report.items)
    planned = ev.SectionsPlanned(
        request_id=erasure.request_id,
        source=report.source,
        declaration_hash=report.declaration_hash,
        items=report.items,
        is_recheck=known.plan is not None,
    )
    if known.plan is not None:
        return _rechecked(planned, fresh, known.plan, erasure, attested)
    plans = {s: run.plan for s, run in erasure.sources.items()} | {report.source: fresh}
    ready = {s: plan for s, plan in plans.items() if plan is not None}
    if len(ready) < len(plans):
        return Accepted((planned,))
    frozen = ev.PlanFrozen(request_id=erasure.request_id, plan_hash=plan_hash(ready))
    return Accepted((planned, frozen))


def _rechecked(
    planned: ev.SectionsPlanned,
    fresh: SourcePlan,
    approved: SourcePlan,
    erasure: Erasure,
    attested: cmd.Attested,
) -> Answer:
    """Plan and guards are looked at once more; the last source to agree ends the way back."""
    request_id = erasure.request_id
    if not is_covered(fresh, approved):
        return Accepted(
            (
                planned,
                ev.RequestFailed(request_id=request_id, code="PLAN_STALE", source=planned.source),
            )
        )
    if guard := blocking_guard(erasure.policy, attested):
        return Accepted(
            (planned, ev.RequestFailed(request_id=request_id, code=f"GUARD_{guard.upper()}"))
        )
    source = planned.source
    runs = {**erasure.sources, source: replace(erasure.sources[source], is_rechecked=True)}
    if not all(run.is_rechecked for run in runs.values()):
        return Accepted((planned,))
    return Accepted((planned, ev.PointOfNoReturnPassed(request_id=request_id)))


def _probed(report: rp.ReportSectionsProbed) -> ev.Event:
    # Never “Completed” with something left: a person must look at a source that says otherwise.
    if any(section.left_bucket for section in report.results):
        return ev.ItemHeld(
            request_id=report.request_id, source=report.source, code="VERIFICATION_FAILED"
        )
    return ev.SectionsProbed(
        request_id=report.request_id,
        source=report.source,
        watermark=report.watermark,
        results=report.results,
    )


def _destroyed(report: rp.ReportKeysDestroyed, erasure: Erasure) -> tuple[ev.Event, ...]:
    scope = _scope_owed(erasure)
    destroyed = ev.SubjectKeysDestroyed(
        request_id=erasure.request_id, scope=scope, fingerprints=report.fingerprints
    )
    if scope is not KeyScope.COMMS:
        return (destroyed,)
    completed = ev.RequestCompleted(request_id=erasure.request_id, outcome=Outcome.FULL)
    return (destroyed, completed)


def _scope_owed(erasure: Erasure) -> KeyScope:
    if not erasure.is_open:
        return KeyScope.REQUEST
    return KeyScope.COMMS if KeyScope.CONTENT in erasure.destroyed else KeyScope.CONTENT

"""The law applied again: the same command on the same state must give the same events.

Only where the events hold all that the command said: filings, confirmations, cancellations,
downloads and timers. What a source or a worker reported cannot be computed, only believed.
"""

from collections.abc import Iterator

from rights import commands as cmd
from rights import events as ev
from rights import subject as subjects
from rights.decisions import Accepted, Decision, Verdict
from rights.erasure.state import Erasure
from rights.ledger import Ledger
from rights.policies import Policy, PolicyReference, Role
from rights.references import number_for
from rights.subject import Subject

_NO_POLICY = Policy(profile="")
_NO_REFERENCE = PolicyReference(partition=-1, seq=-1, hash=b"")
_CLOCK = cmd.Actor(role=Role.CLOCK, ref="")


def recomputed(
    ledger: Ledger, before: Subject, decision: Decision, events: tuple[ev.Event, ...]
) -> bool:
    """Whether the law gives these events; True also where that cannot be asked."""
    recorded = tuple(event for event in events if not isinstance(event, ev.ClockSuspected))
    if decision.verdict is not Verdict.ACCEPTED or not recorded:
        return True
    tries = tuple(_asked_again(before, decision, recorded))
    if not tries:
        return decision.command.type != "FireTimer"
    return any(
        _answer(ledger, before, decision, command, actor, recorded) == Accepted(recorded)
        for command, actor in tries
    )


def _asked_again(
    before: Subject, decision: Decision, events: tuple[ev.Event, ...]
) -> Iterator[tuple[subjects.SubjectCommand, cmd.Actor]]:
    """Every command that these events may have followed from."""
    if decision.command.type == "FireTimer":
        for timer in subjects.timers(before):
            fired = cmd.FireTimer(
                request_id=timer.request_id, timer=timer.name, due_at=timer.due_at
            )
            yield fired, _CLOCK
        return
    match events[0]:
        case ev.ExportSubmitted() | ev.ErasureSubmitted() as filed:
            yield _filing(filed), cmd.Actor(role=filed.filed_by, ref=filed.filer_ref)
        case ev.ErasureConfirmed() as confirmed:
            actor = cmd.Actor(role=confirmed.actor_role, ref=confirmed.actor_ref)
            yield _confirmation(confirmed, before), actor
        case ev.RequestCancelled() as cancelled:
            actor = cmd.Actor(role=cancelled.actor_role, ref=cancelled.actor_ref)
            yield cmd.CancelRequest(request_id=cancelled.request_id), actor
        case ev.DownloadGranted() as granted:
            actor = cmd.Actor(role=granted.actor_role, ref=granted.actor_ref)
            wish = cmd.GrantDownload(
                request_id=granted.request_id, token_sha256=granted.token_sha256
            )
            yield wish, actor
        case _:
            return


def _filing(
    filed: ev.ExportSubmitted | ev.ErasureSubmitted,
) -> cmd.SubmitExport | cmd.SubmitErasure:
    if isinstance(filed, ev.ExportSubmitted):
        return cmd.SubmitExport(
            sections=filed.sections,
            handles_vault_id=filed.handles_vault_id,
            comms_vault_id=filed.comms_vault_id,
            reason_vault_id=filed.reason_vault_id,
            language=filed.language,
        )
    return cmd.SubmitErasure(
        handles_vault_id=filed.handles_vault_id,
        comms_vault_id=filed.comms_vault_id,
        reason_vault_id=filed.reason_vault_id,
        language=filed.language,
    )


def _confirmation(confirmed: ev.ErasureConfirmed, before: Subject) -> cmd.ConfirmErasure:
    erasure = before.requests.get(confirmed.request_id)
    return cmd.ConfirmErasure(
        request_id=confirmed.request_id,
        plan_hash=erasure.plan_hash if isinstance(erasure, Erasure) else "",
        reason_vault_id=confirmed.reason_vault_id,
        skip_grace=confirmed.grace_skipped,
        skip_ground=confirmed.skip_ground,
        evidence_vault_id=confirmed.evidence_vault_id,
    )


def _answer(
    ledger: Ledger,
    before: Subject,
    decision: Decision,
    command: subjects.SubjectCommand,
    actor: cmd.Actor,
    events: tuple[ev.Event, ...],
) -> object:
    counter = ledger.counters.get(before.tenant_ref, 0) + 1
    asked = cmd.Asked(
        command_id=decision.command.id,
        actor=actor,
        observed_at=decision.observed_at,
        number=number_for(counter, ledger.partition),
        policy_reference=decision.policy or _NO_REFERENCE,
        subject_ref=before.ref,
        tenant_ref=before.tenant_ref,
    )
    return subjects.decide(
        command,
        before,
        now=decision.decided_at,
        policy=_policy(events[0]),
        attested=decision.attested,
        asked=asked,
    )


def _policy(event: ev.Event) -> Policy:
    """A filing pins its policy; everything later lives by the pinned one."""
    if isinstance(event, ev.ExportSubmitted | ev.ErasureSubmitted):
        return event.policy
    return _NO_POLICY

"""What may follow a wish or a timer about an erasure."""

from datetime import datetime

from rights import commands as cmd
from rights import events as ev
from rights.decisions import Accepted, Answer, Ignored, Rejected
from rights.erasure.owing import timers
from rights.erasure.state import Erasure
from rights.lifecycle import State
from rights.policies import Policy, Role
from rights.references import erasure_reference
from rights.timers import TimerName, is_due, one_month_after

MUST_GIVE_REASON = frozenset({Role.COACH, Role.ADMIN, Role.PRIVACY_OFFICER, Role.SERVICE})
MAY_CONFIRM = frozenset({Role.ADMIN, Role.PRIVACY_OFFICER, Role.SYSTEM_ADMIN})
# E3-12: the only three grounds on which waiting may be skipped; haste is none.
SKIP_GROUNDS = frozenset({"COURT_ORDER", "ACCOUNT_COMPROMISE", "WRITTEN_WAIVER"})


def blocking_guard(policy: Policy, attested: cmd.Attested) -> str | None:
    """The first guard that stands in the way; a guard nobody attested stands as well."""
    for guard in policy.guards:
        if cmd.attested_value(attested, guard) != "false":
            return guard
    return None


def submit(
    command: cmd.SubmitErasure,
    erasures: tuple[Erasure, ...],
    *,
    now: datetime,
    policy: Policy,
    attested: cmd.Attested,
    asked: cmd.Asked,
) -> Answer:
    actor = asked.actor
    if actor.role not in policy.erasure_roles:
        return Rejected("FORBIDDEN")
    if actor.role in MUST_GIVE_REASON and command.reason_vault_id is None:
        return Rejected("REASON_REQUIRED")
    if any(erasure.is_open for erasure in erasures):
        return Rejected("CONFLICT_ERASURE")
    if not policy.sources:
        return Rejected("NO_SOURCES")
    if blocking_guard(policy, attested):
        return Rejected("GUARD_FAILED")
    filed = ev.ErasureSubmitted(
        request_id=asked.command_id,
        reference=erasure_reference(asked.number, now),
        number=asked.number,
        filed_by=actor.role,
        filer_ref=actor.ref,
        handles_vault_id=command.handles_vault_id,
        comms_vault_id=command.comms_vault_id,
        reason_vault_id=command.reason_vault_id,
        language=command.language,
        policy=policy,
        policy_reference=asked.policy_reference,
        deadline_at=one_month_after(now),
    )
    if actor.role is not Role.SUBJECT:
        return Accepted((filed,))
    # E3-02: who files for themselves needs no approval; the grace period starts at filing.
    started = ev.GracePeriodStarted(request_id=asked.command_id, ends_at=now + policy.grace)
    return Accepted((filed, started))


def confirm(
    command: cmd.ConfirmErasure,
    erasure: Erasure,
    *,
    now: datetime,
    attested: cmd.Attested,
    asked: cmd.Asked,
) -> Answer:
    actor = asked.actor
    if actor.role not in MAY_CONFIRM:
        return Rejected("FORBIDDEN")
    if erasure.state is not State.AWAITING_CONFIRMATION:
        return Rejected("VERSION_CONFLICT")
    # E3-10: the typed e-mail is compared at the edge; here only its being attested counts.
    if cmd.attested_value(attested, "typed_email_matches") != "true":
        return Rejected("EMAIL_MISMATCH")
    if not erasure.plan_hash:
        return Rejected("PLAN_NOT_READY")
    if command.plan_hash != erasure.plan_hash:
        return Rejected("PLAN_STALE")
    if blocking_guard(erasure.policy, attested):
        return Rejected("GUARD_FAILED")
    if command.skip_grace and command.skip_ground not in SKIP_GROUNDS:
        return Rejected("GROUND_REQUIRED")
    request_id = erasure.request_id
    confirmed = ev.ErasureConfirmed(
        request_id=request_id,
        actor_role=actor.role,
        actor_ref=actor.ref,
        reason_vault_id=command.reason_vault_id,
        grace_skipped=command.skip_grace,
        skip_ground=command.skip_ground if command.skip_grace else None,
        evidence_vault_id=command.evidence_vault_id,
    )
    if command.skip_grace:
        ground = command.skip_ground or ""
        return Accepted((confirmed, ev.GracePeriodSkipped(request_id=request_id, ground=ground)))
    ends_at = now + erasure.policy.grace
    return Accepted((confirmed, ev.GracePeriodStarted(request_id=request_id, ends_at=ends_at)))


def cancel(erasure: Erasure, asked: cmd.Asked) -> Answer:
    if asked.actor.role not in (*MAY_CONFIRM, Role.SUBJECT):
        return Rejected("FORBIDDEN")
    if erasure.state is State.CANCELLED:
        return Accepted()  # Cancelling twice is no error: the wish is already met.
    if erasure.state not in (State.AWAITING_CONFIRMATION, State.AWAITING_GRACE):
        return Rejected("TOO_LATE")
    return Accepted(
        (
            ev.RequestCancelled(
                request_id=erasure.request_id,
                actor_role=asked.actor.role,
                actor_ref=asked.actor.ref,
            ),
        )
    )


def fire(command: cmd.FireTimer, erasure: Erasure, *, now: datetime, asked: cmd.Asked) -> Answer:
    timer = next((t for t in timers(erasure) if t.name == command.timer), None)
    if timer is None or not is_due(timer, now=now, observed_at=asked.observed_at):
        return Ignored()
    request_id = erasure.request_id
    match timer.name:
        case TimerName.GRACE_END:
            return Accepted((ev.GracePeriodEnded(request_id=request_id),))
        case TimerName.NOTICE_GIVE_UP:
            failed = ev.NoticeFailed(
                request_id=request_id, template="ERASURE_COMPLETED", code="GIVEN_UP"
            )
            return Accepted((failed,))
        case TimerName.WAIT_MAX:
            return Accepted((_waited_too_long(erasure),))
        case _:
            return Accepted((ev.RequestFailed(request_id=request_id, code="STALLED"),))


def _waited_too_long(erasure: Erasure) -> ev.Event:
    """Before the point of no return the request fails; after it the item is held for a person."""
    waiting = sorted((s, r.waiting_code) for s, r in erasure.sources.items() if r.waiting_since)
    source, code = waiting[0]
    if erasure.is_irreversible:
        return ev.ItemHeld(request_id=erasure.request_id, source=source, code=code)
    return ev.RequestFailed(request_id=erasure.request_id, code=code, source=source)

from dataclasses import replace
from datetime import timedelta

import pytest

from rights import events as ev
from rights.commands import CancelRequest, ConfirmErasure, SubmitErasure
from rights.lifecycle import Phase, State
from rights.policies import Role
from rights.timers import TimerName
from tests.support.spec import ADMIN, COACH, HERSELF, Conversation, attest
from tests.support.stories import (
    SUBMIT_ERASURE,
    TYPED,
    confirmed,
    erasure,
    filed_by_admin,
    keys_destroyed,
    past_no_return,
    planned,
)

OWN = SubmitErasure(handles_vault_id="v1", comms_vault_id="v2")


def confirm(talk: Conversation, **changes: object) -> ConfirmErasure:
    command = ConfirmErasure(
        request_id=talk.request.request_id,
        plan_hash=erasure(talk).plan_hash,
        reason_vault_id="v4",
    )
    return replace(command, **changes)  # type: ignore[arg-type]


@pytest.mark.requirement("E3-02")
def test_a_person_who_files_starts_the_thirty_days_at_once_and_needs_no_approval() -> None:
    talk = Conversation().when(OWN).then(ev.ErasureSubmitted, ev.GracePeriodStarted)

    assert talk.request.state is State.AWAITING_GRACE
    assert talk.request.reference == "ERA-2026-00065"
    ends_at = erasure(talk).grace_ends_at
    assert ends_at is not None
    assert ends_at - talk.now == timedelta(days=30)


@pytest.mark.requirement("E3-03", "E3-04")
@pytest.mark.parametrize("actor", [ADMIN, COACH])
def test_who_files_for_another_gives_a_reason_and_waits_for_confirmation(actor: object) -> None:
    Conversation().when(OWN, actor).then_rejected("REASON_REQUIRED")  # type: ignore[arg-type]
    talk = Conversation().when(SUBMIT_ERASURE, actor).then(ev.ErasureSubmitted)  # type: ignore[arg-type]
    assert talk.request.state is State.AWAITING_CONFIRMATION


def test_a_second_erasure_is_rejected_while_one_is_open() -> None:
    filed_by_admin().when(OWN, command_id="2" * 32).then_rejected("CONFLICT_ERASURE")


def test_an_erasure_without_sources_or_right_is_rejected() -> None:
    Conversation().under(sources=()).when(OWN).then_rejected("NO_SOURCES")
    Conversation().under(erasure_roles=()).when(OWN).then_rejected("FORBIDDEN")


@pytest.mark.requirement("E3-14")
def test_the_only_administrator_cannot_be_erased() -> None:
    alone = attest(sole_administrator="true")

    Conversation().when(OWN, attested=alone).then_rejected("GUARD_FAILED")
    talk = filed_by_admin()
    still_alone = attest(sole_administrator="true", typed_email_matches="true")
    talk.when(confirm(talk), ADMIN, attested=still_alone).then_rejected("GUARD_FAILED")


def test_a_guard_that_nobody_attested_stands_in_the_way() -> None:
    Conversation().when(OWN, attested=()).then_rejected("GUARD_FAILED")


@pytest.mark.requirement("E3-10")
def test_without_the_typed_email_nothing_is_confirmed() -> None:
    talk = filed_by_admin()

    talk.when(confirm(talk), ADMIN, attested=attest(sole_administrator="false")).then_rejected(
        "EMAIL_MISMATCH"
    )


@pytest.mark.requirement("E3-17", "E3-11")
def test_a_confirmed_erasure_waits_out_its_grace_period_by_default() -> None:
    talk = confirmed(filed_by_admin()).then(ev.ErasureConfirmed, ev.GracePeriodStarted)

    assert talk.request.state is State.AWAITING_GRACE
    assert erasure(talk).grace_skipped is False
    assert talk.orders == []


@pytest.mark.requirement("E3-12", "E3-13", "E3-21")
@pytest.mark.parametrize("ground", ["COURT_ORDER", "ACCOUNT_COMPROMISE", "WRITTEN_WAIVER"])
def test_grace_is_skipped_only_on_a_documented_ground_and_both_are_recorded(ground: str) -> None:
    talk = confirmed(filed_by_admin(), skip_ground=ground)

    talk.then(ev.ErasureConfirmed, ev.GracePeriodSkipped)
    assert (erasure(talk).grace_skipped, erasure(talk).skip_ground) == (True, ground)
    assert erasure(talk).confirm_reason_vault_id == "v4"
    assert (talk.request.state, talk.request.phase) == (State.IN_PROGRESS, Phase.CHECK)


@pytest.mark.requirement("E3-12")
@pytest.mark.parametrize("ground", [None, "IN_A_HURRY"])
def test_haste_is_no_ground(ground: str | None) -> None:
    talk = filed_by_admin()
    hasty = confirm(talk, skip_grace=True, skip_ground=ground)

    talk.when(hasty, ADMIN, attested=TYPED).then_rejected("GROUND_REQUIRED")


def test_only_the_plan_that_was_seen_can_be_confirmed() -> None:
    talk = filed_by_admin()
    talk.when(confirm(talk, plan_hash="0"), ADMIN, attested=TYPED).then_rejected("PLAN_STALE")

    unplanned = Conversation().when(SUBMIT_ERASURE, ADMIN)
    unplanned.when(confirm(unplanned), ADMIN, attested=TYPED).then_rejected("PLAN_NOT_READY")


def test_a_person_cannot_confirm_and_nothing_is_confirmed_twice() -> None:
    talk = filed_by_admin()
    talk.when(confirm(talk), HERSELF, attested=TYPED).then_rejected("FORBIDDEN")

    done = confirmed(talk)
    done.when(confirm(talk), ADMIN, attested=TYPED).then_rejected("VERSION_CONFLICT")


@pytest.mark.requirement("E3-20")
def test_an_erasure_can_be_cancelled_throughout_its_grace_period() -> None:
    talk = planned(Conversation().when(OWN)).after(timedelta(days=29))
    cancel = CancelRequest(request_id=talk.request.request_id)

    cancelled = talk.when(cancel).then(ev.RequestCancelled)
    assert cancelled.request.state is State.CANCELLED
    assert cancelled.kinds_owed() == ["DestroyKeys"]
    assert cancelled.timers() == []
    forgotten = keys_destroyed(cancelled).then(ev.SubjectKeysDestroyed)
    assert forgotten.orders == []
    assert forgotten.request.state is State.CANCELLED
    cancelled.when(cancel).then()


def test_who_has_no_say_cannot_cancel() -> None:
    talk = filed_by_admin()
    cancel = CancelRequest(request_id=talk.request.request_id)

    talk.when(cancel, COACH).then_rejected("FORBIDDEN")
    talk.when(cancel, replace(ADMIN, role=Role.SYSTEM_ADMIN)).then(ev.RequestCancelled)


def test_after_the_grace_period_a_cancellation_comes_too_late_and_is_told_so() -> None:
    talk = past_no_return()

    talk.when(CancelRequest(request_id=talk.request.request_id)).then_rejected("TOO_LATE")


@pytest.mark.requirement("E3-21")
def test_when_grace_ends_the_check_begins_by_itself() -> None:
    talk = planned(Conversation().when(OWN)).rings(TimerName.GRACE_END).then(ev.GracePeriodEnded)

    assert (talk.request.state, talk.request.phase) == (State.IN_PROGRESS, Phase.CHECK)
    assert talk.kinds_owed() == ["PlanSections", "PlanSections"]


def test_grace_does_not_end_early_by_either_clock() -> None:
    talk = planned(Conversation().when(OWN))

    talk.rings(TimerName.GRACE_END, early_by=timedelta(microseconds=1)).then_ignored()

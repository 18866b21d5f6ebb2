from dataclasses import replace

import pytest

from rights import events as ev
from rights.commands import FireTimer, SubmitErasure
from rights.lifecycle import Outcome, Phase, State
from rights.orders import DestroyKeys, KeyScope, PlanSections, SendNotice, TreatSections
from rights.reports import (
    PlannedItem,
    ReportBundleRemoved,
    ReportNoticeFailed,
    ReportSectionsPlanned,
    ReportSourceRefused,
    ReportSourceUnavailable,
    ReportStepStarted,
)
from rights.timers import TimerName
from tests.support.spec import ADMIN, CLOCK, Conversation, attest
from tests.support.stories import (
    PLANS,
    SUBMIT_ERASURE,
    SUBMIT_EXPORT,
    confirmed,
    erased,
    erasure,
    filed_by_admin,
    keys_destroyed,
    notified,
    past_no_return,
    planned,
    probed,
    ready_export,
    treated,
)


def ids(talk: Conversation, kind: type, source: str | None = "journal") -> dict:  # type: ignore[type-arg]
    order = talk.order(kind, source)
    known = {"request_id": order.request_id, "order_id": order.order_id}
    return known | ({"source": source} if source else {})


def checking() -> Conversation:
    return confirmed(filed_by_admin(), skip_ground="COURT_ORDER")


def test_plan_and_guards_are_checked_again_before_the_point_of_no_return() -> None:
    talk = checking()
    half = planned(talk, {"journal": PLANS["journal"]}).then(ev.SectionsPlanned)
    assert half.request.phase is Phase.CHECK

    whole = planned(half, {"billing": PLANS["billing"]})
    whole.then(ev.SectionsPlanned, ev.PointOfNoReturnPassed)
    assert whole.kinds_owed() == ["TreatSections", "TreatSections"]


def test_an_unapproved_class_makes_the_plan_stale_and_nothing_is_destroyed() -> None:
    new_class = PlannedItem(section="drafts", item_class="draft", treatment="delete")
    talk = planned(checking(), {"journal": (*PLANS["journal"], new_class)})

    talk.then(ev.SectionsPlanned, ev.RequestFailed)
    assert talk.request.failure == "PLAN_STALE"
    assert talk.kinds_owed() == ["DestroyKeys"]


def test_new_rows_of_an_approved_class_do_not_make_the_plan_stale() -> None:
    assert past_no_return().request.phase is Phase.TREAT


def test_a_guard_that_turned_red_stops_the_erasure_before_anything_happens() -> None:
    talk = checking()
    order = talk.order(PlanSections, "journal")
    red = attest(sole_administrator="true")

    failed = talk.reported(
        ReportSectionsPlanned(
            request_id=order.request_id,
            order_id=order.order_id,
            source="journal",
            declaration_hash="d1",
            items=PLANS["journal"],
        ),
        attested=red,
    )
    assert failed.request.failure == "GUARD_SOLE_ADMINISTRATOR"


def test_grace_that_ends_before_a_source_was_planned_plans_it_first() -> None:
    own = SubmitErasure(handles_vault_id="v1")
    talk = Conversation().when(own).rings(TimerName.GRACE_END)
    order = talk.order(PlanSections, "journal")
    assert isinstance(order, PlanSections)
    assert order.is_recheck is False

    whole = planned(planned(talk))
    assert whole.request.phase is Phase.TREAT


def test_the_point_of_no_return_ends_open_exports_and_expires_archives() -> None:
    ready = ready_export()
    filed = ready.when(SUBMIT_EXPORT, command_id="2" * 32)
    talk = past_no_return(filed)

    talk.then(ev.SectionsPlanned, ev.PointOfNoReturnPassed, ev.RequestFailed, ev.BundleExpired)
    first, second = talk.subject.exports
    assert (first.is_expired, second.failure) == (True, "SUBJECT_ERASED")


def test_keys_are_destroyed_only_after_the_archives_are_gone() -> None:
    talk = probed(treated(past_no_return(ready_export())))
    assert talk.kinds_owed() == ["RemoveBundle"]

    order = talk.orders[0]
    gone = talk.reported(ReportBundleRemoved(request_id=order.request_id, order_id=order.order_id))
    assert sorted(gone.kinds_owed()) == ["DestroyKeys", "DestroyKeys"]


def test_the_intent_of_a_destructive_step_is_recorded_once() -> None:
    talk = past_no_return()
    step = ReportStepStarted(**ids(talk, TreatSections))

    started = talk.reported(step).then(ev.StepStarted)
    assert erasure(started).sources["journal"].started_order == step.order_id
    started.reported(step).then_ignored()


@pytest.mark.requirement("E3-22")
def test_an_erasure_runs_from_treatment_to_completion_in_its_order() -> None:
    talk = past_no_return()
    assert (talk := treated(talk)).request.phase is Phase.PROBE
    assert (talk := probed(talk)).request.phase is Phase.DESTROY_KEYS
    order = talk.order(DestroyKeys)
    assert isinstance(order, DestroyKeys)
    assert order.scope is KeyScope.CONTENT
    assert (talk := keys_destroyed(talk)).request.phase is Phase.NOTIFY
    assert (talk := notified(talk)).request.phase is Phase.FORGET
    talk = keys_destroyed(talk).then(ev.SubjectKeysDestroyed, ev.RequestCompleted)
    assert (talk.request.state, talk.request.outcome) == (State.COMPLETED, Outcome.FULL)
    assert talk.orders == []


@pytest.mark.requirement("E3-23")
def test_without_a_channel_the_erasure_completes_without_a_letter() -> None:
    silent = replace(SUBMIT_ERASURE, comms_vault_id=None)
    talk = planned(Conversation().when(silent, ADMIN))
    talk = planned(confirmed(talk, skip_ground="COURT_ORDER"))

    talk = keys_destroyed(keys_destroyed(probed(treated(talk))))
    assert talk.request.state is State.COMPLETED


@pytest.mark.parametrize("ending", ["refused", "given up"])
def test_a_letter_that_cannot_be_sent_does_not_stop_a_finished_erasure(ending: str) -> None:
    talk = keys_destroyed(probed(treated(past_no_return())))
    if ending == "refused":
        report = ReportNoticeFailed(code="MAIL_REFUSED", **ids(talk, SendNotice, None))
        talk = talk.reported(report)
    else:
        talk = talk.rings(TimerName.NOTICE_GIVE_UP)

    talk.then(ev.NoticeFailed)
    assert keys_destroyed(talk).request.state is State.COMPLETED


def test_what_a_probe_still_finds_is_held_and_never_completed() -> None:
    talk = probed(treated(past_no_return()), left=2).then(ev.ItemHeld)

    assert talk.request.state is State.ON_HOLD
    assert erasure(talk).failure == "VERIFICATION_FAILED"
    assert talk.orders == []


@pytest.mark.requirement("E3-43")
def test_a_refusal_before_the_point_of_no_return_fails_with_nothing_changed() -> None:
    talk = checking()
    report = ReportSourceRefused(code="PAYOUTS_OUTSTANDING", **ids(talk, PlanSections))

    failed = talk.reported(report).then(ev.RequestFailed)
    assert erasure(failed).failure == "PAYOUTS_OUTSTANDING"
    assert failed.kinds_owed() == ["DestroyKeys"]


def test_a_refusal_after_it_is_held_for_a_person() -> None:
    talk = past_no_return()
    report = ReportSourceRefused(code="PAYOUTS_OUTSTANDING", **ids(talk, TreatSections))

    assert talk.reported(report).then(ev.ItemHeld).request.state is State.ON_HOLD


def test_a_source_that_is_down_is_waited_for_and_then_fails_or_is_held() -> None:
    before = checking()
    down = ReportSourceUnavailable(code="SOURCE_DOWN", **ids(before, PlanSections))
    waiting = before.reported(down).then(ev.SourceBecameUnavailable)
    waiting.reported(down).then_ignored()
    assert waiting.rings(TimerName.WAIT_MAX).then(ev.RequestFailed).request.failure == "SOURCE_DOWN"

    after = past_no_return()
    down = ReportSourceUnavailable(code="SOURCE_DOWN", **ids(after, TreatSections))
    held = after.reported(down).rings(TimerName.WAIT_MAX).then(ev.ItemHeld)
    assert held.request.state is State.ON_HOLD


def test_a_check_that_hears_nothing_fails_as_stalled() -> None:
    assert checking().rings(TimerName.STALLED).then(ev.RequestFailed).request.failure == "STALLED"


@pytest.mark.requirement("E3-46")
def test_a_failed_erasure_is_not_tried_again_by_itself() -> None:
    failed = keys_destroyed(checking().rings(TimerName.STALLED))

    assert failed.orders == []
    assert failed.timers() == []
    failed.when(SUBMIT_ERASURE, ADMIN, command_id="2" * 32).then(ev.ErasureSubmitted)


def test_late_reports_and_timers_change_nothing() -> None:
    running = past_no_return()
    step = ReportStepStarted(**ids(running, TreatSections))
    done = erased()

    done.reported(step).then_ignored()
    done.when(
        FireTimer(request_id=done.request.request_id, timer=TimerName.GRACE_END, due_at=done.now),
        CLOCK,
    ).then_ignored()


def test_a_report_that_is_none_of_an_erasures_is_ignored() -> None:
    talk = past_no_return()
    order = talk.order(TreatSections)

    talk.reported(
        ReportBundleRemoved(request_id=order.request_id, order_id=order.order_id)
    ).then_ignored()

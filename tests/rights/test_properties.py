"""Random lives of one subject: nothing a person, worker or clock does leaves the tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rights import commands as cmd
from rights import events as ev
from rights import orders as od
from rights import reports as rp
from rights.decisions import Accepted
from rights.export.state import Export
from rights.lifecycle import (
    ERASURE_PHASES,
    ERASURE_TRANSITIONS,
    EXPORT_PHASES,
    EXPORT_TRANSITIONS,
    Phase,
    State,
)
from rights.references import tenant_ref
from rights.subject import Subject, evolve, pending_orders, timers
from tests.support.spec import ADMIN, CLOCK, HERSELF, NOW, Conversation
from tests.support.stories import PLANS, SUBMIT_ERASURE, SUBMIT_EXPORT, TYPED, extent, ready_export

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "export",
                "erase",
                "confirm",
                "skip",
                "cancel",
                "work",
                "work",
                "work",
                "work",
                "fail",
                "down",
                "ring",
                "wait",
            ]
        ),
        st.integers(0, 50),
    ),
    max_size=40,
)


def answer_of(order: od.Order, talk: Conversation) -> rp.Report:
    """What a worker reports that did its work."""
    known: dict[str, Any] = {"request_id": order.request_id, "order_id": order.order_id}
    match order:
        case od.CollectSections(source=source):
            return rp.ReportSectionsCollected(source=source, extent=extent(talk), **known)
        case od.SealBundle():
            return rp.ReportBundleSealed(
                object_key="k",
                ciphertext_sha256=b"",
                size_bucket=1,
                contents_vault_id="v",
                has_records=True,
                **known,
            )
        case od.RemoveBundle():
            return rp.ReportBundleRemoved(**known)
        case od.SendNotice():
            return rp.ReportNoticeSent(**known)
        case od.PlanSections(source=source):
            items = PLANS[source]
            return rp.ReportSectionsPlanned(
                source=source, declaration_hash="d", items=items, **known
            )
        case od.TreatSections(source=source):
            return rp.ReportSectionsTreated(source=source, results=(), **known)
        case od.ProbeSections(source=source):
            return rp.ReportSectionsProbed(source=source, watermark="1", results=(), **known)
        case od.DestroyKeys():
            return rp.ReportKeysDestroyed(fingerprints=(), **known)


def trouble_of(order: od.Order, kind: str) -> rp.Report:
    known: dict[str, Any] = {"request_id": order.request_id, "order_id": order.order_id}
    source = getattr(order, "source", "journal")
    if kind == "down":
        return rp.ReportSourceUnavailable(source=source, code="DOWN", **known)
    if isinstance(order, od.SendNotice):
        return rp.ReportNoticeFailed(code="REFUSED", **known)
    if isinstance(order, od.SealBundle):
        return rp.ReportBundleFailed(code="STORE", **known)
    return rp.ReportSourceRefused(source=source, code="NO", **known)


def taken(talk: Conversation, step: Step, number: int) -> Conversation:
    """The step, as far as there is anything to take it on."""
    what, which = step
    command_id = f"{number:032x}"
    owed = talk.orders
    requests = list(talk.subject.requests.values())
    alarms = list(timers(talk.subject))
    match what:
        case "export":
            return talk.when(SUBMIT_EXPORT, command_id=command_id)
        case "erase":
            return talk.when(SUBMIT_ERASURE, ADMIN if which % 2 else HERSELF, command_id=command_id)
        case "confirm" | "skip" if talk.subject.erasures:
            erasure = talk.subject.erasures[-1]
            command = cmd.ConfirmErasure(
                request_id=erasure.request_id,
                plan_hash=erasure.plan_hash,
                reason_vault_id="v",
                skip_grace=what == "skip",
                skip_ground="COURT_ORDER",
            )
            return talk.when(command, ADMIN, attested=TYPED, command_id=command_id)
        case "cancel" if requests:
            request_id = requests[which % len(requests)].request_id
            return talk.when(cmd.CancelRequest(request_id=request_id), command_id=command_id)
        case "work" if owed:
            return talk.reported(answer_of(owed[which % len(owed)], talk))
        case "fail" | "down" if owed:
            return talk.reported(trouble_of(owed[which % len(owed)], what))
        case "ring" if alarms:
            alarm = alarms[which % len(alarms)]
            later = talk.after(max(alarm.due_at - talk.now, timedelta()))
            fire = cmd.FireTimer(request_id=alarm.request_id, timer=alarm.name, due_at=alarm.due_at)
            return later.when(fire, CLOCK)
        case _:
            return talk.after(timedelta(hours=which))


def is_legal(before: Subject, after: Subject) -> bool:
    for request_id, request in after.requests.items():
        known = before.requests.get(request_id)
        if known is None:
            continue
        is_export = isinstance(request, Export)
        states = EXPORT_TRANSITIONS if is_export else ERASURE_TRANSITIONS
        phases = EXPORT_PHASES if is_export else ERASURE_PHASES
        if request.state is not known.state and request.state not in states[known.state]:
            return False
        moved = request.phase not in {known.phase, Phase.NONE}
        if moved and request.phase not in phases[known.phase]:
            return False
    return True


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_life_of_a_subject_leaves_the_tables(steps: list[Step]) -> None:
    talk = Conversation()
    for number, step in enumerate(steps):
        told = taken(talk, step, number)
        assert is_legal(talk.subject, told.subject)
        for request in told.subject.requests.values():
            # An outcome belongs to a completed request, or to an archive that waits for its letter.
            if request.outcome is not None:
                assert request.state in {State.COMPLETED, State.IN_PROGRESS}
            # Nobody waits on nothing: work is owed, or a time or a person is awaited.
            if request.state in {State.PENDING, State.IN_PROGRESS}:
                assert any(o.request_id == request.request_id for o in told.orders)
        talk = told


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_folding_again_gives_the_same_subject_and_the_same_orders(steps: list[Step]) -> None:
    talk, recorded = Conversation(), []
    for number, step in enumerate(steps):
        talk = taken(talk, step, number)
        if isinstance(talk.answer, Accepted):
            recorded += [(event, talk.now) for event in talk.answer.events]
            talk = Conversation(subject=talk.subject, now=talk.now)
    again = Conversation().subject
    for event, at in recorded:
        again = evolve(again, event, at=at)  # type: ignore[arg-type]

    assert again == talk.subject
    assert list(pending_orders(again)) == talk.orders


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_nothing_is_treated_before_a_confirmation_or_the_end_of_grace(steps: list[Step]) -> None:
    talk = Conversation()
    passed: set[str] = set()
    for number, step in enumerate(steps):
        talk = taken(talk, step, number)
        for event in talk.answer.events if isinstance(talk.answer, Accepted) else ():
            if isinstance(event, ev.GracePeriodEnded | ev.GracePeriodSkipped):
                passed.add(event.request_id)
        for order in talk.orders:
            if isinstance(order, od.TreatSections):
                assert order.request_id in passed


def test_an_event_that_is_none_of_its_kinds_leaves_a_request_as_it_is() -> None:
    talk = ready_export()
    request_id = talk.request.request_id
    stray = ev.PlanFrozen(request_id=request_id, plan_hash="x")

    after = evolve(talk.subject, stray, at=talk.now)
    assert after.exports[0].state is State.COMPLETED
    erasing = Conversation().when(SUBMIT_ERASURE, ADMIN)
    stray_too = ev.BundleRemoved(request_id=erasing.request.request_id)
    assert erasing.given(stray_too).request.state is State.AWAITING_CONFIRMATION


def test_a_tenants_reference_is_always_the_same() -> None:
    assert tenant_ref("acme") == tenant_ref("acme")
    assert tenant_ref("acme") != tenant_ref("acme2")
    assert NOW.tzinfo is not None

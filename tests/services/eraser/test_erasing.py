"""What an eraser may do and may not: intent first, never early, never more than was approved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from plumbing import failpoints
from plumbing.clock import ManualClock
from plumbing.directory import Person
from plumbing.kafka import Outgoing
from rights import events as ev
from rights.commands import CancelRequest, FireTimer
from rights.orders import TreatSections
from rights.policies import Role
from rights.reports import PlannedItem
from schemas.codec import encode
from schemas.topics import erase_orders, reports
from schemas.wire import OrderMessage
from tests.services.eraser.stage import ErasableSource, EraserStage, billing_of, journal_of
from tests.services.request_api.installation import ADMIN, NOW, POLICY
from tests.support.waiting import until

GRACE = timedelta(hours=2)


@pytest.fixture
def stage() -> Iterator[EraserStage]:
    stage = EraserStage()
    with stage.installation:
        stage.installation.publish_policy(replace(POLICY, grace=GRACE))
        yield stage
        failpoints.disarm()
        stage.close()


@pytest.fixture
def ines(stage: EraserStage) -> Person:
    return stage.installation.person(user_id="u-1", customer_id="c-1", loyalty_card="l-1")


@pytest.fixture
def sources(stage: EraserStage) -> dict[str, ErasableSource]:
    """Ines is known to both."""
    made = {"journal": journal_of("u-1"), "billing": billing_of("u-1")}
    stage.sources = made
    return made


def let_grace_end(stage: EraserStage, ref: str, request_id: str) -> None:
    """The scheduler fires, and the decider agrees."""
    running = stage.installation
    ends_at = running.request(ref, request_id).grace_ends_at
    clock = replace(ADMIN, role=Role.CLOCK)
    running.clock.advance(max(timedelta(), ends_at - running.clock.now()))
    fire = FireTimer(request_id=request_id, timer="GRACE_END", due_at=ends_at)
    assert running.say(fire, clock, ref).decision.code == ""
    until(lambda: running.request(ref, request_id).phase == "CHECK")


def test_intent_is_in_the_log_before_the_first_destructive_call(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    log = stage.installation.entries
    seen: list[tuple[str, str, list[str]]] = []

    def intents() -> list[str]:
        events = [event for entry in list(log) for event in entry.events]
        return [event.source for event in events if isinstance(event, ev.StepStarted)]

    for name, source in sources.items():
        source.fault = lambda verb, name=name: seen.append((name, verb, intents()))  # type: ignore[misc]

    stage.erase(stage.hire(), ines)

    treated = [(name, intended) for name, verb, intended in seen if verb == "treat"]
    assert sorted(name for name, _ in treated) == ["billing", "journal"]
    assert all(name in intended for name, intended in treated)


def test_the_order_of_calls_is_plan_check_plan_treat_probe(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    stage.erase(stage.hire(), ines)

    for source in sources.values():
        assert source.calls == ["plan", "plan", "plan", "treat", "probe"]


def test_a_source_is_given_only_the_handles_that_it_declared(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    stage.erase(stage.hire(), ines)

    for source in sources.values():
        assert source.given
        for handles in source.given:
            assert handles == {"tenant": "acme-wellbeing", "user_id": "u-1"}


def test_counts_are_reported_in_buckets(stage: EraserStage, ines: Person) -> None:
    stage.sources = {"journal": journal_of("u-1", rows=5), "billing": billing_of("u-1")}

    stage.erase(stage.hire(), ines)

    buckets = {
        event.source: [r.deleted_bucket for r in event.results]
        for entry in stage.installation.entries
        for event in entry.events
        if isinstance(event, ev.SectionsTreated)
    }
    assert buckets == {"journal": [8], "billing": [1]}


def test_nothing_is_treated_while_grace_is_not_over_by_our_own_clock(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    """A decider whose clock runs ahead, or who lies, erases nobody early (T-34)."""
    ours = ManualClock(NOW)
    stage.clock = ours
    loop = stage.hire()
    ref, request_id = stage.installation.file_erasure(ines)
    stage.turns(loop, lambda: stage.installation.request(ref, request_id).plan_hash)
    let_grace_end(stage, ref, request_id)

    stage.turns(loop, lambda: waiting_codes(stage, ref, request_id) == {"GRACE_NOT_OVER"})
    calls_before = [source.calls.count("treat") for source in sources.values()]
    ours.advance(GRACE + timedelta(minutes=1))
    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert calls_before == [0, 0]
    assert stage.installation.request(ref, request_id).phase == "DESTROY_KEYS"


def waiting_codes(stage: EraserStage, ref: str, request_id: str) -> set[str]:
    runs = stage.installation.request(ref, request_id).sources.values()
    return {run.waiting_code for run in runs}


def test_a_person_who_waits_out_their_grace_is_erased(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    loop = stage.hire()
    ref, request_id = stage.installation.file_erasure(ines)
    stage.turns(loop, lambda: stage.installation.request(ref, request_id).plan_hash)
    let_grace_end(stage, ref, request_id)

    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert stage.installation.request(ref, request_id).phase == "DESTROY_KEYS"


def test_a_class_of_items_that_nobody_approved_stops_the_treatment(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    journal = sources["journal"]
    # The plan and its recheck were fine; then the team declared another class.
    journal.grows_after = 2

    ref, request_id = stage.erase(stage.hire(), ines)

    request = stage.installation.request(ref, request_id)
    assert "treat" not in journal.calls
    assert journal.rows["entries"]["u-1"]
    assert (request.state, request.failure, request.failed_source) == (
        "ON_HOLD",
        "PLAN_STALE",
        "journal",
    )


def test_more_rows_of_an_approved_class_stop_nothing(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    journal = sources["journal"]
    journal.rows["entries"]["u-1"] += [{"id": n, "body": "later"} for n in range(10, 40)]
    stage.confirm(ref, request_id)

    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert journal.rows["entries"]["u-1"] == []


def test_the_guard_is_asked_again_at_the_point_of_no_return(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    running = stage.installation
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    # In the meantime everybody else left the workspace to her.
    running.people["acme-wellbeing"][:] = [replace(ines, roles=("admin",))]
    stage.confirm(ref, request_id)

    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    request = running.request(ref, request_id)
    assert (request.state, request.failure) == ("FAILED", "GUARD_SOLE_ADMINISTRATOR")
    attested = [
        fact
        for entry in running.entries
        if any(isinstance(event, ev.SectionsPlanned) for event in entry.events)
        for fact in entry.decision.attested
    ]
    assert {(f.fact, f.value, f.source) for f in attested} == {
        ("sole_administrator", "true", "directory:acme-wellbeing")
    }
    for source in sources.values():
        assert "treat" not in source.calls


def test_who_has_left_the_workspace_is_nobodys_administrator(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    stage.installation.people["acme-wellbeing"].remove(ines)
    stage.confirm(ref, request_id)

    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert stage.installation.request(ref, request_id).phase == "DESTROY_KEYS"


def test_a_forged_order_is_not_carried_out(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    running = stage.installation
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    forged = TreatSections(
        order_id="f0" * 16,
        request_id=request_id,
        subject_ref=ref,
        tenant_ref=running.request(ref, request_id).policy.profile,
        fence=3,
        source="journal",
        handles_vault_id=running.request(ref, request_id).handles_vault_id,
        plan_hash="00" * 32,
        items=(PlannedItem(section="entries", item_class="entries", treatment="delete"),),
    )
    message = OrderMessage(partition=0, seq=0, body=encode(forged))
    out = Outgoing(topic=erase_orders("journal"), key=ref.encode(), value=encode(message))
    running.producer.send_and_wait([out], 5)

    stage.turns(loop, lambda: passed(stage, erase_orders("journal")))

    assert "treat" not in sources["journal"].calls


def passed(stage: EraserStage, topic: str) -> bool:
    """Whether the eraser is done with everything on a topic."""
    positions = stage.installation.connection.admin().committed("eraser")
    done = sum(offset for (name, _), offset in positions.items() if name == topic)
    return done == len(stage.installation.records(topic))


def test_an_order_that_comes_again_when_it_is_done_changes_nothing(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    running = stage.installation
    loop = stage.hire()
    stage.erase(loop, ines)
    calls = list(sources["journal"].calls)
    said = len(running.records(reports("journal")))
    topic = erase_orders("journal")

    again = [Outgoing(topic=topic, key=r.key, value=r.value or b"") for r in running.records(topic)]
    running.producer.send_and_wait(again, 5)
    stage.turns(loop, lambda: passed(stage, topic))

    assert len(again) == 4
    assert sources["journal"].calls == calls
    assert len(running.records(reports("journal"))) == said


def test_a_cancelled_erasure_is_never_carried_out(
    stage: EraserStage, ines: Person, sources: dict[str, ErasableSource]
) -> None:
    running = stage.installation
    loop = stage.hire()
    ref, request_id = running.file_erasure(ines)
    stage.turns(loop, lambda: running.request(ref, request_id).plan_hash)
    running.say(CancelRequest(request_id=request_id), ADMIN, ref)
    _, later = stage.erase(loop, running.person(user_id="u-1", customer_id="c-1"))

    assert "SectionsTreated" not in running.events(request_id)
    assert "SectionsTreated" in running.events(later)


def test_no_log_line_and_no_topic_knows_who_was_erased(
    stage: EraserStage, capsys: pytest.CaptureFixture[str]
) -> None:
    ines = stage.installation.person(user_id="u-canary-17", customer_id="c-canary-17")
    stage.sources = {"journal": journal_of("u-canary-17"), "billing": billing_of("u-canary-17")}

    stage.erase(stage.hire(), ines)

    said = capsys.readouterr().err.encode() + b"".join(
        record.value or b""
        for source in ("journal", "billing")
        for topic in (reports(source), erase_orders(source))
        for record in stage.installation.records(topic)
    )
    assert b"order_done" in said
    for secret in (ines.email, ines.name, ines.stable_id, *ines.handles.values()):
        assert secret.encode() not in said

"""Whoever does not answer is waited for; whoever says no is not asked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plumbing.directory import DirectoryUnavailable, Person
from plumbing.kafka import BrokerError, Outgoing
from plumbing.vault import VaultRefused, VaultUnavailable
from rights import events as ev
from rights.commands import CancelRequest
from rights.orders import PlanSections
from rights.reports import ReportSourceUnavailable, ReportStepStarted
from schemas.codec import decode, decode_as
from schemas.topics import erase_orders, reports
from schemas.wire import CommandMessage
from services.eraser.loop import FIRST_PAUSE_S, EraserLoop
from sources.contract import DeclarationError, SourceRefused, SourceUnavailable
from tests.services.eraser.stage import ErasableSource, EraserStage, billing_of, journal_of
from tests.services.request_api.installation import ADMIN


@pytest.fixture
def stage() -> Iterator[EraserStage]:
    stage = EraserStage()
    with stage.installation:
        stage.installation.publish_policy()
        yield stage
        stage.close()


@pytest.fixture
def ines(stage: EraserStage) -> Person:
    return stage.installation.person(user_id="u-1", customer_id="c-1")


@pytest.fixture
def journal(stage: EraserStage) -> ErasableSource:
    """One of the two sources; the other one is always well."""
    journal = journal_of("u-1")
    stage.sources = {"journal": journal, "billing": billing_of("u-1")}
    return journal


class Failing:
    """Fails whatever it is put in front of, for as long as it `is_down`."""

    def __init__(self, failure: Exception, *verbs: str) -> None:
        self.failure = failure
        self.verbs = verbs
        self.is_down = True
        self.met = 0

    def __call__(self, verb: object = "") -> None:
        if self.is_down and (not self.verbs or verb in self.verbs):
            self.met += 1
            raise self.failure


def waits(stage: EraserStage) -> list[tuple[str, str]]:
    """Which source was said to be waited for, and why: in the log, in order."""
    return [
        (event.source, event.code)
        for entry in list(stage.installation.entries)
        for event in entry.events
        if isinstance(event, ev.SourceBecameUnavailable)
    ]


def said(stage: EraserStage) -> list[str]:
    """The codes of all reports that the journal does not answer."""
    bodies = [
        decode(decode_as(CommandMessage, r.value or b"").body)
        for r in stage.installation.records(reports("journal"))
    ]
    return [body.code for body in bodies if isinstance(body, ReportSourceUnavailable)]


def filed(stage: EraserStage, loop: EraserLoop, person: Person, failing: Failing) -> str:
    """An erasure whose first step met a failure three times; its request."""
    _, request_id = stage.installation.file_erasure(person, by=ADMIN)
    stage.turns(loop, lambda: failing.met >= 3)
    return request_id


def test_a_source_that_is_down_is_reported_once_and_gone_on_with_when_it_is_back(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    journal.fault = down = Failing(SourceUnavailable("SOURCE_UNREACHABLE"))
    loop = stage.hire()

    request_id = filed(stage, loop, ines, down)
    while_down = said(stage)
    down.is_down = False
    stage.turns(loop, lambda: "PlanFrozen" in stage.installation.events(request_id))

    assert while_down == ["SOURCE_UNREACHABLE"]
    assert waits(stage) == [("journal", "SOURCE_UNREACHABLE")]


def test_a_source_that_goes_down_during_treatment_is_waited_for(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    journal.batch = 1
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    journal.fault = down = Failing(SourceUnavailable("SOURCE_TIMEOUT"), "treat")
    stage.confirm(ref, request_id)

    stage.turns(loop, lambda: down.met >= 3)
    down.is_down = False
    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert said(stage) == ["SOURCE_TIMEOUT"]
    assert journal.rows["entries"]["u-1"] == []
    assert stage.installation.request(ref, request_id).phase == "DESTROY_KEYS"
    assert stage.installation.events(request_id).count("StepStarted") == 2


def test_another_cause_is_told_as_well(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    journal.fault = down = Failing(SourceUnavailable("SOURCE_UNREACHABLE"))
    loop = stage.hire()
    filed(stage, loop, ines, down)

    down.failure = SourceUnavailable("SOURCE_ACCESS_DENIED")
    stage.turns(loop, lambda: down.met >= 6)

    assert said(stage) == ["SOURCE_UNREACHABLE", "SOURCE_ACCESS_DENIED"]


def test_a_declaration_that_no_longer_fits_is_waited_for(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    gone = DeclarationError("COLUMN_MISSING", "A column is gone.", "Declare it anew.")
    journal.fault = down = Failing(gone)
    loop = stage.hire()

    request_id = filed(stage, loop, ines, down)
    down.is_down = False
    stage.turns(loop, lambda: "PlanFrozen" in stage.installation.events(request_id))

    assert waits(stage) == [("journal", "COLUMN_MISSING")]


def test_waiting_gets_longer_and_is_not_shortened_by_the_order_coming_again(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    tried: list[float] = []

    def down(_verb: str) -> None:
        tried.append(stage.at_s)
        raise SourceUnavailable("SOURCE_BUSY")

    journal.fault = down
    loop = stage.hire()
    stage.installation.file_erasure(ines, by=ADMIN)
    stage.turns(loop, lambda: tried, step_s=0.0)
    topic = erase_orders("journal")
    (sent,) = stage.installation.records(topic)
    for tenth in range(40):
        stage.at_s = tenth / 10
        again = Outgoing(topic=topic, key=sent.key, value=sent.value or b"")
        stage.installation.producer.send_and_wait([again], 5)
        loop.turn(0.05, at_s=stage.at_s)

    assert tried == [0.0, FIRST_PAUSE_S, 3 * FIRST_PAUSE_S, 7 * FIRST_PAUSE_S]


def test_the_other_source_does_not_wait(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    journal.fault = down = Failing(SourceUnavailable("SOURCE_UNREACHABLE"))

    request_id = filed(stage, stage.hire(), ines, down)

    (planned,) = [
        event
        for entry in stage.installation.entries
        for event in entry.events
        if isinstance(event, ev.SectionsPlanned) and event.request_id == request_id
    ]
    assert planned.source == "billing"


def test_an_order_that_was_withdrawn_while_it_waited_is_dropped(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    journal.fault = down = Failing(SourceUnavailable("SOURCE_UNREACHABLE"))
    loop = stage.hire()
    request_id = filed(stage, loop, ines, down)
    ref = next(e.decision.subject_ref for e in stage.installation.entries if _files(e, request_id))

    stage.installation.say(CancelRequest(request_id=request_id), ADMIN, ref)
    down.is_down = False
    met = len(journal.calls)
    stage.turns(loop, lambda: not loop._parked)

    assert len(journal.calls) == met
    assert stage.installation.owed(request_id, PlanSections) == []


def _files(entry: object, request_id: str) -> bool:
    return entry.decision.command.id == request_id  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (VaultUnavailable("LOG_BEHIND"), "KEYRING_UNAVAILABLE"),
        (VaultRefused("RATE_LIMITED"), "KEYRING_RATE_LIMITED"),
    ],
)
def test_while_the_keyring_does_not_open_nothing_is_asked_of_anybody(
    stage: EraserStage, ines: Person, journal: ErasableSource, failure: Exception, code: str
) -> None:
    running = stage.installation
    loop = stage.hire()
    ref, request_id = running.file_erasure(ines, by=ADMIN)
    running.keyring.fault = down = Failing(failure)

    stage.turns(loop, lambda: down.met >= 4)
    calls = list(journal.calls)
    running.keyring.fault = lambda: None
    stage.turns(loop, lambda: running.request(ref, request_id).plan_hash)

    assert calls == []
    assert set(waits(stage)) == {("journal", code), ("billing", code)}


def test_a_directory_that_is_down_keeps_the_point_of_no_return_away(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    running = stage.installation
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    running.directory.fault = down = Failing(DirectoryUnavailable())
    stage.confirm(ref, request_id)

    stage.turns(loop, lambda: down.met >= 4)
    events = running.events(request_id)
    running.directory.fault = lambda: None
    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert "PointOfNoReturnPassed" not in events
    assert set(waits(stage)) == {
        ("journal", "DIRECTORY_UNAVAILABLE"),
        ("billing", "DIRECTORY_UNAVAILABLE"),
    }
    assert running.request(ref, request_id).phase == "DESTROY_KEYS"


def test_a_refusal_before_the_point_of_no_return_fails_the_request(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    running = stage.installation
    journal.fault = Failing(SourceRefused("TENANT_MISSING"))
    loop = stage.hire()
    ref, request_id = running.file_erasure(ines, by=ADMIN)

    stage.turns(loop, lambda: running.request(ref, request_id).state == "FAILED")

    request = running.request(ref, request_id)
    assert (request.failure, request.failed_source) == ("TENANT_MISSING", "journal")
    assert journal.calls == ["plan"]


def test_a_refusal_after_it_holds_the_request_and_nothing_is_tried_again(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    journal.fault = Failing(SourceRefused("ROWS_STILL_REFERENCED"), "treat")
    stage.confirm(ref, request_id)

    stage.turns(loop, lambda: stage.has_ended(ref, request_id))
    marker = stage.installation.person(user_id="u-2")
    stage.planned(loop, marker)

    request = stage.installation.request(ref, request_id)
    assert (request.state, request.failure) == ("ON_HOLD", "ROWS_STILL_REFERENCED")
    assert journal.calls.count("treat") == 1


def is_intent(out: Outgoing) -> bool:
    if not out.topic.startswith("rights.reports."):
        return False
    return isinstance(decode(decode_as(CommandMessage, out.value).body), ReportStepStarted)


def test_without_the_log_s_word_nothing_is_treated(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    """The decider goes away at the worst moment: the order is out, its intent not recorded."""
    running = stage.installation
    stage.intent_within_s = 0.05
    gone: list[Outgoing] = []

    def leave_at_the_first_intent(out: Outgoing) -> None:
        if is_intent(out) and not gone:
            gone.append(out)
            running.stop_decider()

    stage.fault = leave_at_the_first_intent
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    stage.confirm(ref, request_id)

    waiting = "INTENT_NOT_RECORDED"
    stage.turns(loop, lambda: waiting in {p.code for p in loop._parked.values()})
    treated = "treat" in journal.calls
    running.start_decider()
    stage.turns(loop, lambda: stage.has_ended(ref, request_id))

    assert not treated
    assert running.request(ref, request_id).phase == "DESTROY_KEYS"
    assert running.events(request_id).count("StepStarted") == 2


def test_an_intent_that_cannot_be_said_is_no_intent(
    stage: EraserStage, ines: Person, journal: ErasableSource
) -> None:
    lost: list[Outgoing] = []

    def lose_intents(out: Outgoing) -> None:
        if is_intent(out) and len(lost) < 4:
            lost.append(out)
            assert "treat" not in journal.calls
            raise BrokerError("_MSG_TIMED_OUT", is_retriable=True)

    stage.fault = lose_intents
    ref, request_id = stage.erase(stage.hire(), ines)

    assert len(lost) == 4
    assert stage.installation.request(ref, request_id).phase == "DESTROY_KEYS"


@pytest.mark.parametrize("nth", range(1, 6))
def test_a_report_that_does_not_get_through_is_made_again(
    stage: EraserStage, ines: Person, journal: ErasableSource, nth: int
) -> None:
    sent: list[Outgoing] = []

    def lose_one(out: Outgoing) -> None:
        if out.topic == reports("journal"):
            sent.append(out)
            if len(sent) == nth:
                raise BrokerError("_MSG_TIMED_OUT", is_retriable=True)

    stage.fault = lose_one
    ref, request_id = stage.erase(stage.hire(), ines)

    assert len(sent) > nth
    assert stage.installation.request(ref, request_id).phase == "DESTROY_KEYS"
    assert journal.rows["entries"]["u-1"] == []

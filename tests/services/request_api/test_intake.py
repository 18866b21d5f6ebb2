"""What a product service files: once however often it is delivered, and never for others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyrage
import pytest

from plumbing import failpoints
from plumbing.directory import DirectoryUnavailable, Person
from plumbing.failpoints import FailpointError
from plumbing.kafka import BrokerError, Outgoing
from plumbing.process import Stop
from plumbing.vault import VaultRefused, VaultUnavailable
from rights.events import ErasureSubmitted, ExportSubmitted
from schemas import topics
from schemas.codec import decode_as, encode
from schemas.wire import DeadLetter, IntakeOutcome, IntakeRequest
from sources.emitter import Emitter
from tests.services.request_api.installation import ACME
from tests.services.request_api.world import NORTH, SERVICE, SOLO, World
from tests.support.waiting import until

TOPIC = topics.intake(SERVICE)
REASON = "closed the account in the app"


@pytest.fixture
def emitter(world: World) -> Emitter:
    recipient = world.keyring.client("request_api").public_key()
    return Emitter(SERVICE, recipient=recipient, connection=world.connection, clock=world.clock)


def outcomes(world: World, message_id: str) -> list[IntakeOutcome]:
    found = [
        decode_as(IntakeOutcome, record.value or b"")
        for record in world.records(topics.outcomes(SERVICE))
    ]
    return [outcome for outcome in found if outcome.message_id == message_id]


def outcome(world: World, message_id: str) -> IntakeOutcome:
    return until(lambda: outcomes(world, message_id))[0]


def is_answered(world: World) -> bool:
    """Whether everything that was filed lies behind the intake."""
    done = world.connection.admin().committed("request_api")
    return sum(n for (topic, _), n in done.items() if topic == TOPIC) == len(world.records(TOPIC))


def file_erasure(emitter: Emitter, person: Person, message_id: str, **changes: str) -> None:
    values = {"tenant": ACME, "stable_id": person.stable_id, "reason": REASON, **changes}
    emitter.file_erasure(message_id=message_id, **values)


def send(world: World, **changes: Any) -> None:
    """A message that our own emitter would not have written."""
    message = IntakeRequest(
        message_id="odd",
        right="erasure",
        tenant=ACME,
        sealed=b"",
        issued_at=world.clock.now(),
    )
    value = encode(replace(message, **changes))
    world.producer.send_and_wait([Outgoing(topic=TOPIC, key=b"odd", value=value)], 5)


def sealed(world: World, clear: bytes) -> bytes:
    recipient = pyrage.x25519.Recipient.from_str(world.keyring.client("x").public_key())
    return bytes(pyrage.encrypt(clear, [recipient]))


def test_an_erasure_that_a_service_files_is_filed_and_answered(
    world: World, emitter: Emitter, ines: Person
) -> None:
    file_erasure(emitter, ines, "close-1")

    with world.taking_in():
        answer = outcome(world, "close-1")

    assert (answer.outcome, answer.code) == ("ACCEPTED", "")
    request_id = world.request_id_of(answer.reference)
    filed = world.event(request_id, ErasureSubmitted)
    assert (filed.filed_by, filed.reference) == ("SERVICE", answer.reference)
    assert world.keyring.rows[filed.reason_vault_id].value == f'{{"text": "{REASON}"}}'
    facts = [
        (fact.fact, fact.value)
        for entry in world.entries
        if entry.decision.command.id == request_id
        for fact in entry.decision.attested
    ]
    assert facts == [("sole_administrator", "false")]


def test_an_export_is_filed_the_same_way(world: World, emitter: Emitter, ines: Person) -> None:
    emitter.file_export(
        tenant=ACME, stable_id=ines.stable_id, reason="asked in the app", message_id="export-1"
    )

    with world.taking_in():
        answer = outcome(world, "export-1")

    filed = world.event(world.request_id_of(answer.reference), ExportSubmitted)
    assert filed.filed_by == "SERVICE"


def test_a_message_that_is_delivered_often_is_filed_once_and_answered_alike(
    world: World, emitter: Emitter, ines: Person
) -> None:
    for _ in range(3):
        file_erasure(emitter, ines, "often")

    with world.taking_in():
        until(lambda: len(outcomes(world, "often")) == 3)

    found = outcomes(world, "often")
    assert len({(o.outcome, o.code, o.reference) for o in found}) == 1
    assert found[0].outcome == "ACCEPTED"
    assert world.commands_of(ines) == ["SubmitErasure"]


@pytest.mark.parametrize("tenant", [NORTH, "nowhere-inc"])
def test_a_service_files_for_no_tenant_that_does_not_name_it(
    world: World, emitter: Emitter, tenant: str
) -> None:
    person = world.person()
    message_id = f"foreign-{tenant}"
    file_erasure(emitter, person, message_id, tenant=tenant)

    with world.taking_in():
        answer = outcome(world, message_id)

    assert (answer.outcome, answer.code, answer.reference) == ("REJECTED", "TENANT_UNKNOWN", "")
    assert world.commands_of(person, tenant) == []


def test_somebody_the_tenant_does_not_know_is_refused(world: World, emitter: Emitter) -> None:
    stranger = world.person(tenant=SOLO)
    file_erasure(emitter, stranger, "stranger")

    with world.taking_in():
        answer = outcome(world, "stranger")

    assert (answer.outcome, answer.code) == ("REJECTED", "PERSON_NOT_FOUND")


def test_what_the_decider_refuses_is_refused_with_its_code(
    world: World, emitter: Emitter, ines: Person
) -> None:
    file_erasure(emitter, ines, "first")
    file_erasure(emitter, ines, "second")
    file_erasure(emitter, ines, "no-reason", reason="")

    with world.taking_in():
        answers = [outcome(world, m) for m in ("first", "second", "no-reason")]

    assert sorted((a.outcome, a.code) for a in answers)[1:] == [
        ("REJECTED", "CONFLICT_ERASURE"),
        ("REJECTED", "REASON_REQUIRED"),
    ]


def test_one_message_id_for_two_people_files_only_the_first(
    world: World, emitter: Emitter, ines: Person
) -> None:
    bruno = world.person()
    file_erasure(emitter, ines, "one-id")
    file_erasure(emitter, bruno, "one-id")

    with world.taking_in():
        until(lambda: len(outcomes(world, "one-id")) == 2)

    codes = [o.code for o in outcomes(world, "one-id")]
    assert sorted(codes) == ["", "IDEMPOTENCY_MISMATCH"]
    assert len(world.commands_of(ines) + world.commands_of(bruno)) == 1


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("right", {"right": "rectification"}, "RIGHT_UNKNOWN"),
        ("sealed-wrongly", {"sealed": b"not sealed at all"}, "HANDLES_UNREADABLE"),
        ("sealed-empty", {"clear": b"{}"}, "HANDLES_UNREADABLE"),
        ("sealed-list", {"clear": b"[1]"}, "HANDLES_UNREADABLE"),
        ("sealed-null", {"clear": b'{"stable_id": null}'}, "HANDLES_UNREADABLE"),
        ("sealed-nul", {"clear": b'{"stable_id": "a\\u0000b"}'}, "HANDLES_UNREADABLE"),
        ("sealed-more", {"clear": b'{"stable_id": "a", "email": "b"}'}, "HANDLES_UNREADABLE"),
    ],
)
def test_a_message_that_says_nothing_usable_is_refused_and_those_behind_it_go_on(
    world: World, emitter: Emitter, ines: Person, name: str, changes: dict[str, Any], code: str
) -> None:
    if "clear" in changes:
        changes = {"sealed": sealed(world, changes["clear"])}
    send(world, message_id=name, **changes)
    file_erasure(emitter, ines, f"behind-{name}")

    with world.taking_in():
        refused, accepted = outcome(world, name), outcome(world, f"behind-{name}")

    assert (refused.outcome, refused.code) == ("REJECTED", code)
    assert accepted.outcome == "ACCEPTED"


def test_a_message_without_an_id_is_refused(world: World) -> None:
    send(world, message_id="")

    with world.taking_in():
        assert outcome(world, "").code == "MESSAGE_ID_MISSING"


def test_what_cannot_be_read_is_a_dead_letter_and_those_behind_it_go_on(
    world: World, emitter: Emitter, ines: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(world.records(topics.dead_letters("request_api")))
    poison = [b"", b"not a message, marker-77", encode(world.entries[0].decision)]
    partition = 1
    world.producer.send_and_wait(
        [Outgoing(topic=TOPIC, key=None, value=v, partition=partition) for v in poison], 5
    )
    file_erasure(emitter, ines, "behind-poison")

    with world.taking_in():
        assert outcome(world, "behind-poison").outcome == "ACCEPTED"
        until(lambda: is_answered(world))

    letters = world.records(topics.dead_letters("request_api"))[before:]
    told = [decode_as(DeadLetter, letter.value or b"") for letter in letters]
    assert len(told) == 3
    assert {(letter.topic, letter.partition) for letter in told} == {(TOPIC, partition)}
    said = capsys.readouterr().err.encode() + b"".join(letter.value or b"" for letter in letters)
    assert b"marker-77" not in said


def waits_and_then_files(
    world: World, emitter: Emitter, person: Person, message_id: str, mend: Callable[[], None]
) -> None:
    """Something is down already; the message waits until it is mended, and is filed then."""
    file_erasure(emitter, person, message_id)
    lines: list[int] = []

    def waited() -> bool:
        lines.append(len(world.records(TOPIC)))
        return len(lines) > 20

    with world.taking_in() as thread:
        until(waited)
        assert outcomes(world, message_id) == []
        assert not is_answered(world)
        assert thread.is_alive()
        mend()
        answer = outcome(world, message_id)

    assert answer.outcome == "ACCEPTED"
    assert world.commands_of(person) == ["SubmitErasure"]


@pytest.mark.parametrize(
    "failure",
    [VaultUnavailable("UNREACHABLE"), VaultRefused("RATE_LIMITED"), VaultRefused("NOT_ALLOWED")],
)
def test_while_the_keyring_does_not_open_the_message_waits(
    world: World, emitter: Emitter, ines: Person, failure: Exception
) -> None:
    def down() -> None:
        raise failure

    def mend() -> None:
        world.keyring.fault = lambda: None

    world.keyring.fault = down
    waits_and_then_files(world, emitter, ines, f"keyring-{failure}", mend)


def test_while_the_directory_is_down_the_message_waits(
    world: World, emitter: Emitter, ines: Person
) -> None:
    def down() -> None:
        raise DirectoryUnavailable

    def mend() -> None:
        world.directory.fault = lambda: None

    world.directory.fault = down
    waits_and_then_files(world, emitter, ines, "directory", mend)


def test_while_the_decider_is_down_the_message_waits_however_long(
    world: World, emitter: Emitter, ines: Person
) -> None:
    """Nobody stands before a screen: what was sent does not expire after a minute."""

    def mend() -> None:
        world.pass_time(hours=3)
        world.start_decider()

    world.stop_decider()
    waits_and_then_files(world, emitter, ines, "decider", mend)


def test_an_outcome_that_does_not_get_through_is_said_again(
    world: World, emitter: Emitter, ines: Person
) -> None:
    lost: list[Outgoing] = []

    def lose_two(out: Outgoing) -> None:
        if out.topic == topics.outcomes(SERVICE) and len(lost) < 2:
            lost.append(out)
            raise BrokerError("_MSG_TIMED_OUT", is_retriable=True)

    world.fault = lose_two
    file_erasure(emitter, ines, "outcome-lost")
    with world.taking_in():
        answer = outcome(world, "outcome-lost")

    assert len(lost) == 2
    assert answer.outcome == "ACCEPTED"
    assert world.commands_of(ines) == ["SubmitErasure"]


@pytest.mark.parametrize(
    "place", ["intake.read", "api.producing", "api.produced", "intake.filed", "intake.answered"]
)
def test_after_a_crash_anywhere_the_outcome_is_the_same(
    world: World, emitter: Emitter, ines: Person, place: str
) -> None:
    file_erasure(emitter, ines, f"crash-{place}")
    failpoints.arm(f"{place}:1:err")

    with pytest.raises(FailpointError):
        world.intake().run(Stop())
    with world.taking_in():
        until(lambda: is_answered(world))
        until(lambda: outcomes(world, f"crash-{place}"))

    found = {(o.outcome, o.code, o.reference) for o in outcomes(world, f"crash-{place}")}
    assert len(found) == 1
    assert found.pop()[0] == "ACCEPTED"
    assert world.commands_of(ines) == ["SubmitErasure"]


def test_an_intake_that_waits_stops_when_it_is_asked_to(
    world: World, emitter: Emitter, ines: Person
) -> None:
    def down() -> None:
        raise VaultUnavailable("UNREACHABLE")

    world.keyring.fault = down
    file_erasure(emitter, ines, "stopped")
    stop = Stop()
    thread = threading.Thread(target=lambda: world.intake().run(stop))
    thread.start()
    until(lambda: len(world.records(TOPIC)) > 0)
    stop.set()
    thread.join(10)

    assert not thread.is_alive()
    world.keyring.fault = lambda: None
    with world.taking_in():
        assert outcome(world, "stopped").outcome == "ACCEPTED"


def test_an_installation_without_product_services_takes_nothing_in(world: World) -> None:
    intake = replace(world.intake(), tenants={})
    stop = Stop()
    thread = threading.Thread(target=lambda: intake.run(stop))
    thread.start()
    stop.set()
    thread.join(10)

    assert intake.services == {}
    assert not thread.is_alive()

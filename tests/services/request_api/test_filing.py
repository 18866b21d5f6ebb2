"""A wish becomes one decision, however often it is said; what stands against it is told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from plumbing.directory import Person
from schemas.log import Entry
from services.request_api.answers import AnswerBook
from tests.services.request_api.installation import ACME, POLICY
from tests.services.request_api.workers import plan_erasure
from tests.services.request_api.world import NORTH, REQUESTS, SOLO, World
from tests.support.waiting import until


def test_a_filed_export_is_accepted_with_its_reference_and_place(
    world: World, ines: Person
) -> None:
    answer = world.post(ines, REQUESTS, {"type": "export"})

    data = answer.json()["data"]
    assert answer.status_code == 202
    assert data["state"] == "PENDING"
    assert re.fullmatch(r"EXP-\d{4}-\d{5}", data["reference"])
    assert answer.headers["location"] == f"{REQUESTS}/{data['reference']}"
    assert answer.headers["habeas-position"] == data["position"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_erasure_of_ones_own_waits_out_its_grace(world: World, ines: Person) -> None:
    data = world.filed(ines, "erasure")

    shown = world.get(ines, f"{REQUESTS}/{data['reference']}").json()["data"]
    assert data["state"] == shown["state"] == "AWAITING_GRACE"
    ends_at = datetime.fromisoformat(shown["grace_ends_at"])
    assert ends_at == world.clock.now() + POLICY.grace
    assert shown["grace_skipped"] is False


def test_a_second_export_is_rejected_while_one_is_open(world: World, ines: Person) -> None:
    world.filed(ines)

    second = world.post(ines, REQUESTS, {"type": "export"})

    assert (second.status_code, second.json()["code"]) == (409, "CONFLICT_GDPR_EXPORT")
    assert second.json()["message"].startswith("An export request is already pending")


def test_a_second_erasure_is_rejected_while_one_is_open(world: World, ines: Person) -> None:
    world.filed(ines, "erasure")

    second = world.post(ines, REQUESTS, {"type": "erasure"})

    assert (second.status_code, second.json()["code"]) == (409, "CONFLICT_ERASURE")


def test_the_same_key_and_body_get_the_first_answer(world: World, ines: Person) -> None:
    body = {"type": "export", "language": "fr"}

    answers = [world.post(ines, REQUESTS, body, key="my-key") for _ in range(3)]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert world.commands_of(ines) == ["SubmitExport"]


def test_the_first_answer_stays_the_first_when_the_request_has_moved_on(
    world: World, ines: Person
) -> None:
    first = world.post(ines, REQUESTS, {"type": "export"}, key="my-key")
    reference = first.json()["data"]["reference"]
    position = first.json()["data"]["position"]
    path = f"{REQUESTS}/{reference}"
    world.get(ines, path, position=position)
    cancelled = world.post(ines, f"{path}/cancel", key="cancel-key")
    world.until_shown(ines, reference, "CANCELLED")

    again = world.post(ines, REQUESTS, {"type": "export"}, key="my-key")
    cancelled_again = world.post(ines, f"{path}/cancel", key="cancel-key")

    assert again.content == first.content
    assert cancelled.json()["data"]["state"] == "CANCELLED"
    assert cancelled_again.content == cancelled.content


def test_a_refusal_is_the_first_answer_too(world: World, ines: Person) -> None:
    open_one = world.filed(ines)["reference"]
    refused = world.post(ines, REQUESTS, {"type": "export"}, key="my-key")
    world.post(ines, f"{REQUESTS}/{open_one}/cancel")
    world.until_shown(ines, open_one, "CANCELLED")

    again = world.post(ines, REQUESTS, {"type": "export"}, key="my-key")

    assert again.status_code == 409
    assert again.content == refused.content


@pytest.mark.parametrize(
    "other",
    [
        {"type": "erasure"},
        {"type": "export", "reason": "moving"},
        {"type": "export", "language": "fr"},
    ],
)
def test_the_same_key_with_another_body_is_a_mismatch(
    world: World, ines: Person, other: dict[str, Any]
) -> None:
    world.filed(ines)
    first = world.post(ines, REQUESTS, {"type": "export"}, key="my-key")

    answer = world.post(ines, REQUESTS, other, key="my-key")

    assert first.status_code == 409
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert world.commands_of(ines) == ["SubmitExport", "SubmitExport"]


def test_one_key_for_two_people_or_two_acts_does_only_the_first(world: World, dana: Person) -> None:
    first, second = world.person(), world.person()
    for person in (first, second):
        world.filed(person)
    references = [world.get(p, REQUESTS).json()["data"][0]["reference"] for p in (first, second)]

    answers = [
        world.post(dana, f"{REQUESTS}/{reference}/cancel", key="one-key")
        for reference in references
    ]

    assert [answer.status_code for answer in answers] == [202, 422]
    assert answers[1].json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert world.commands_of(second) == ["SubmitExport"]


def test_one_key_for_two_people_files_one_request_even_before_anything_is_decided(
    world: World, dana: Person
) -> None:
    people = [world.person(), world.person()]
    bodies = [
        {"type": "export", "subject": {"stable_id": p.stable_id}, "reason": "r"} for p in people
    ]

    with world.without_decider():
        answers = [
            world.post(dana, REQUESTS, body, key="one-key", client=world.impatient)
            for body in bodies
        ]
    again = world.post(dana, REQUESTS, bodies[0], key="one-key")

    assert [(a.status_code, a.json()["code"]) for a in answers] == [
        (503, "OUTCOME_UNKNOWN"),
        (422, "IDEMPOTENCY_MISMATCH"),
    ]
    assert again.status_code == 202
    assert [world.commands_of(person) for person in people] == [["SubmitExport"], []]


def test_two_people_may_use_the_same_key(world: World) -> None:
    answers = [
        world.post(person, REQUESTS, {"type": "export"}, key="my-key")
        for person in (world.person(), world.person())
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() != answers[1].json()


def test_an_answer_that_fell_out_of_the_book_is_remembered_by_the_views(
    world: World, ines: Person, dana: Person
) -> None:
    """A process keeps the newest answers only."""
    coach, somebody = world.person("coach"), world.person()
    proposal = {
        "type": "export",
        "subject": {"stable_id": somebody.stable_id},
        "reason": "she asked me",
    }
    asked: list[tuple[Person, dict[str, Any], str]] = [
        (ines, {"type": "export"}, world.key()),
        (ines, {"type": "erasure"}, world.key()),
        (ines, {"type": "export"}, world.key()),
        (coach, proposal, world.key()),
    ]
    first = [world.post(person, REQUESTS, body, key=key) for person, body, key in asked]
    positions = [a.json()["data"]["position"] for a in first if a.status_code == 202]
    for position in positions:
        world.get(dana, REQUESTS, position=position)
    kept, world.book._answers = world.book._answers, AnswerBook()._answers
    world.book.has_forgotten = True

    try:
        again = [world.post(person, REQUESTS, body, key=key) for person, body, key in asked]
        mismatch = world.post(ines, REQUESTS, {"type": "erasure"}, key=asked[0][2])
    finally:
        world.book._answers = kept
        world.book.has_forgotten = False

    assert [answer.status_code for answer in first] == [202, 202, 409, 202]
    assert [answer.content for answer in again] == [answer.content for answer in first]
    assert mismatch.json()["code"] == "IDEMPOTENCY_MISMATCH"


def test_a_book_forgets_its_oldest_answers_and_its_expired_grants(world: World) -> None:
    small = AnswerBook(kept=2)
    for entry in world.entries[:5]:
        small.apply(entry)

    remembered = [small.answer(e.decision.command.id) is not None for e in world.entries[:5]]
    assert remembered == [False, False, False, True, True]
    assert small.has_forgotten
    assert not world.book.has_forgotten


def test_the_first_answer_to_a_command_stands_in_the_book(world: World) -> None:
    """A key misused for two people may be answered in two partitions."""
    book, first = AnswerBook(), world.entries[-1]
    other = replace(first.decision, partition=first.decision.partition + 1, code="FORBIDDEN")

    book.apply(first)
    book.apply(Entry(other, (), first.head))

    answer = book.answer(first.decision.command.id)
    assert answer is not None
    assert (answer.partition, answer.code) == (first.decision.partition, first.decision.code)


def test_a_workspace_without_a_policy_cannot_be_served_yet(world: World) -> None:
    nora = world.person(tenant=NORTH)

    for kind in ("export", "erasure"):
        answer = world.post(nora, REQUESTS, {"type": kind}, tenant=NORTH)
        assert (answer.status_code, answer.json()["code"]) == (409, "POLICY_MISSING")
        assert answer.json()["next_step"]


def test_the_erasure_of_a_sole_administrator_is_stopped_by_a_guard(world: World) -> None:
    alone = world.person("admin", tenant=SOLO)

    answer = world.post(alone, REQUESTS, {"type": "erasure"}, tenant=SOLO)
    second = world.person("admin", tenant=SOLO)
    with_another = world.post(alone, REQUESTS, {"type": "erasure"}, tenant=SOLO)
    world.people[SOLO].remove(second)
    world.people[SOLO].remove(alone)

    assert (answer.status_code, answer.json()["code"]) == (409, "GUARD_FAILED")
    assert with_another.status_code == 202


def test_a_person_in_two_workspaces_is_two_people(world: World, ines: Person) -> None:
    world.people[SOLO].append(ines)
    here = world.filed(ines)
    there = world.filed(ines, tenant=SOLO)

    assert world.subject_ref(ines) != world.subject_ref(ines, SOLO)
    assert world.get(ines, f"{REQUESTS}/{here['reference']}", tenant=ACME).status_code == 200
    listed = world.get(ines, REQUESTS, tenant=SOLO).json()["data"]
    assert [entry["reference"] for entry in listed] == [there["reference"]]


def test_a_cancelled_request_is_over_and_cancelling_again_is_no_error(
    world: World, ines: Person
) -> None:
    reference = world.filed(ines)["reference"]

    answers = [world.post(ines, f"{REQUESTS}/{reference}/cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.json()["data"]["state"] for answer in answers} == {"CANCELLED"}
    assert world.until_shown(ines, reference, "CANCELLED")["percent"] == 100


def test_a_finished_export_can_no_longer_be_cancelled(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, b"an archive")

    answer = world.post(ines, f"{REQUESTS}/{reference}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "TOO_LATE")


def test_a_command_that_took_too_long_to_arrive_is_not_acted_on(world: World, ines: Person) -> None:
    """What was not decided within a minute is not decided behind the caller's back later."""
    with world.without_decider():
        unknown = world.post(ines, REQUESTS, {"type": "export"}, key="slow", client=world.impatient)
        world.clock.advance(timedelta(seconds=61))
    again = world.post(ines, REQUESTS, {"type": "export"}, key="slow")
    afresh = world.post(ines, REQUESTS, {"type": "export"})

    assert unknown.json()["code"] == "OUTCOME_UNKNOWN"
    assert (again.status_code, again.json()["code"]) == (409, "COMMAND_EXPIRED")
    assert afresh.status_code == 202


def test_nothing_that_was_said_of_a_person_lies_on_a_topic(world: World, dana: Person) -> None:
    canary = world.person(user_id="u-whispered-42")
    subject = {"email": canary.email}
    data = world.filed(dana, "erasure", subject=subject, reason="reason-whispered", language="de")
    plan_erasure(world, world.request_id(data))
    confirm = {
        "typed_email": canary.email,
        "reason": "confirmed-whispered",
        "plan_hash": until(
            lambda: world.get(dana, f"{REQUESTS}/{data['reference']}/plan").json()["data"][
                "plan_hash"
            ]
        ),
        "skip_grace": {"ground": "COURT_ORDER", "evidence": "evidence-whispered"},
    }
    confirmed = world.post(dana, f"{REQUESTS}/{data['reference']}/confirm-erasure", confirm)
    assert confirmed.status_code == 202, confirmed.text

    told = [canary.email, canary.name, canary.stable_id, "whispered"]
    for topic in sorted(world.connection.admin().topics()):
        for record in world.records(topic):
            for secret in told:
                assert secret.encode() not in (record.value or b"") + (record.key or b"")

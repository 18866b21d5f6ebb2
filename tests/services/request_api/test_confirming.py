"""Confirming an erasure: the typed address, the plan that was seen, the toggle and its ground."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plumbing.directory import Person
from rights.events import ErasureConfirmed
from tests.services.request_api.installation import ACME
from tests.services.request_api.world import REQUESTS, World
from tests.support.waiting import until

WAIVER = {"ground": "WRITTEN_WAIVER", "evidence": "waiver on file, folder 12"}


def confirmation(person: Person, plan_hash: str, **changes: Any) -> dict[str, Any]:
    return {
        "typed_email": person.email,
        "reason": "confirmed by telephone",
        "plan_hash": plan_hash,
        **changes,
    }


def confirm(world: World, admin: Person, reference: str, body: Any, **more: Any) -> Any:
    return world.post(admin, f"{REQUESTS}/{reference}/confirm-erasure", body, **more)


@pytest.mark.requirement("E3-12", "E3-13")
def test_skipping_the_grace_period_records_the_toggle_and_its_ground(
    world: World, ines: Person, dana: Person
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)

    answer = confirm(world, dana, reference, confirmation(ines, plan_hash, skip_grace=WAIVER))

    assert (answer.status_code, answer.json()["data"]["state"]) == (202, "IN_PROGRESS")
    shown = world.get(
        dana, f"{REQUESTS}/{reference}", position=answer.headers["habeas-position"]
    ).json()["data"]
    assert (shown["state"], shown["phase"], shown["grace_skipped"]) == (
        "IN_PROGRESS",
        "CHECK",
        True,
    )
    trail = world.get(dana, f"{REQUESTS}/{reference}/timeline").json()["data"]
    (told,) = [e for e in trail if e["event"] == "ErasureConfirmed"]
    assert told["actor_role"] == "admin"
    assert told["details"] == {"grace_skipped": True, "skip_ground": "WRITTEN_WAIVER"}
    confirmed = next(
        event
        for entry in reversed(world.entries)
        for event in entry.events
        if isinstance(event, ErasureConfirmed)
    )
    texts = [
        world.keyring.rows[vault_id or ""].value
        for vault_id in (confirmed.reason_vault_id, confirmed.evidence_vault_id)
    ]
    assert texts == [
        '{"text": "confirmed by telephone"}',
        '{"text": "waiver on file, folder 12"}',
    ]


def test_without_the_toggle_grace_begins_at_the_confirmation(
    world: World, ines: Person, dana: Person
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)

    answer = confirm(world, dana, reference, confirmation(ines, plan_hash))

    shown = world.until_shown(dana, reference, "AWAITING_GRACE")
    assert answer.json()["data"]["state"] == "AWAITING_GRACE"
    assert shown["grace_skipped"] is False


@pytest.mark.requirement("E3-10")
def test_somebody_elses_address_confirms_nothing(world: World, ines: Person, dana: Person) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)
    other = world.person()
    world.filed(other)
    typed = [other.email, "nobody@example.org", ines.email.upper(), f" {ines.email}", dana.email]

    answers = [
        confirm(world, dana, reference, confirmation(ines, plan_hash, typed_email=email))
        for email in typed
    ]

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(422, "EMAIL_MISMATCH")}
    # Nor can it be told whether the address is anybody's.
    assert len({answer.content for answer in answers}) == 1
    assert "ErasureConfirmed" not in world.events(world.request_id_of(reference))


def test_an_address_that_changed_since_the_filing_is_typed_as_it_is_now(
    world: World, ines: Person, dana: Person
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)
    people = world.people[ACME]
    married = replace(ines, email=f"new.{ines.email}")
    people[people.index(ines)] = married

    old = confirm(world, dana, reference, confirmation(ines, plan_hash))
    new = confirm(world, dana, reference, confirmation(married, plan_hash))

    assert old.json()["code"] == "EMAIL_MISMATCH"
    assert new.status_code == 202


def test_a_plan_that_was_not_the_one_seen_is_stale(
    world: World, ines: Person, dana: Person
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)
    other = "0" * 64 if plan_hash != "0" * 64 else "1" * 64

    answer = confirm(world, dana, reference, confirmation(ines, other))

    assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_STALE")


def test_a_plan_that_is_not_complete_cannot_be_confirmed(
    world: World, ines: Person, dana: Person
) -> None:
    data = world.filed(dana, "erasure", subject={"stable_id": ines.stable_id}, reason="left")

    shown = world.get(dana, f"{REQUESTS}/{data['reference']}/plan").json()["data"]
    answer = confirm(world, dana, data["reference"], confirmation(ines, "0" * 64))

    assert shown["plan_hash"] is None
    assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_NOT_READY")


@pytest.mark.parametrize(
    "skip", [{"ground": "URGENT"}, {}, {"ground": "COURT_ORDER", "evidence": ""}, True]
)
def test_haste_is_no_ground(world: World, ines: Person, dana: Person, skip: Any) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)

    answer = confirm(world, dana, reference, confirmation(ines, plan_hash, skip_grace=skip))

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    assert answer.json()["errors"][0]["pointer"].startswith("/skip_grace")


@pytest.mark.parametrize("missing", ["typed_email", "reason", "plan_hash"])
def test_nothing_of_a_confirmation_may_be_missing(
    world: World, ines: Person, dana: Person, missing: str
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)
    body = confirmation(ines, plan_hash)
    del body[missing]

    answer = confirm(world, dana, reference, body)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": f"/{missing}", "code": "MISSING", "message": "This is required."}
    ]


def test_a_member_confirms_nothing_not_even_about_themselves(world: World, ines: Person) -> None:
    data = world.filed(ines, "erasure")

    answer = confirm(world, ines, data["reference"], confirmation(ines, "0" * 64))

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_confirming_twice_is_one_confirmation_also_when_nobody_is_left_to_find(
    world: World, ines: Person, dana: Person
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)
    body = confirmation(ines, plan_hash, skip_grace=WAIVER)

    first = confirm(world, dana, reference, body, key="confirm-key")
    world.people[ACME].remove(ines)
    again = confirm(world, dana, reference, body, key="confirm-key")
    afresh = confirm(world, dana, reference, body)

    assert first.status_code == 202
    assert again.content == first.content
    assert afresh.json()["code"] == "EMAIL_MISMATCH"
    assert world.events(world.request_id_of(reference)).count("ErasureConfirmed") == 1


def test_a_sole_administrators_confirmation_is_stopped_by_the_guard(
    world: World, dana: Person
) -> None:
    """She was not alone at the filing; she is now."""
    leaving = world.person("admin")
    reference, plan_hash = world.planned_erasure(dana, leaving)
    others = [p for p in world.people[ACME] if "admin" in p.roles and p is not leaving]
    world.people[ACME][:] = [p for p in world.people[ACME] if p not in others]

    answer = confirm(world, dana, reference, confirmation(leaving, plan_hash))
    world.people[ACME] += others

    assert (answer.status_code, answer.json()["code"]) == (409, "GUARD_FAILED")


def test_the_plan_says_source_by_source_what_will_happen(
    world: World, ines: Person, dana: Person
) -> None:
    reference, plan_hash = world.planned_erasure(dana, ines)

    plan = world.get(dana, f"{REQUESTS}/{reference}/plan").json()["data"]

    assert plan["plan_hash"] == plan_hash
    rows = {(s["source"], s["section"]): s for s in plan["sections"]}
    assert rows["journal", "journal_rows"]["items"] == [
        {"item_class": "journal", "treatment": "delete", "basis": "", "keep_rule": ""}
    ]
    assert rows["billing", ""]["state"] == "PLANNED"


def test_a_person_takes_their_erasure_back_while_it_waits(world: World, ines: Person) -> None:
    reference = world.filed(ines, "erasure")["reference"]

    answer = world.post(ines, f"{REQUESTS}/{reference}/cancel")
    shown = until(lambda: world.until_shown(ines, reference, "CANCELLED"))

    assert answer.status_code == 202
    assert shown["outcome"] is None

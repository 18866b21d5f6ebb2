"""Who may ask for what: proved by a token, within a tenant, in a role; the rest is not found."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from plumbing.directory import Person
from plumbing.vault import VaultUnavailable
from tests.plumbing.web.issuing import new_key
from tests.services.request_api.installation import ACME
from tests.services.request_api.world import BASE, NORTH, REQUESTS, World

OPEN = {"/livez", "/openapi.json", f"{BASE}/downloads/{{token}}"}
UNKNOWN = "EXP-2026-99999"


def operations(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation that the API says it has."""
    paths = world.client.get("/openapi.json").json()["paths"]
    return [(m.upper(), path, op) for path, methods in paths.items() for m, op in methods.items()]


def called(world: World, method: str, path: str, **headers: str) -> httpx2.Response:
    filled = path.replace("{reference}", UNKNOWN).replace("{token}", "0" * 64)
    return world.client.request(method, filled, headers={"Idempotency-Key": "k-1", **headers})


def test_every_operation_wants_a_token_but_those_that_are_listed_here(world: World) -> None:
    found = operations(world)

    assert {path for _, path, op in found if not op["security"]} == OPEN
    assert len(found) > 10
    for method, path, _ in found:
        if path not in OPEN:
            answer = called(world, method, path)
            assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_FAILED")


def test_the_open_ones_let_everybody_in(world: World) -> None:
    assert called(world, "GET", "/livez").json() == {"status": "ok"}
    assert called(world, "GET", "/openapi.json").status_code == 200
    assert called(world, "GET", f"{BASE}/downloads/{{token}}").status_code == 404


def test_a_bad_token_is_401_and_nobody_is_told_why(world: World, ines: Person) -> None:
    then = int(world.clock.now().timestamp()) - 3600
    tokens = [
        world.token(ines, exp=then),
        world.token(ines, aud="somebody-else"),
        world.token(ines, iss="https://issuer.example.com"),
        world.token(ines, key=new_key()),
        world.token(ines)[:-4] + "AAAA",
        "nonsense",
    ]

    answers = [called(world, "POST", REQUESTS, Authorization=f"Bearer {token}") for token in tokens]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert world.commands_of(ines) == []


def test_a_token_of_an_unknown_tenant_is_403_for_every_operation(
    world: World, dana: Person
) -> None:
    headers = world.signed_in(dana, tenant="nowhere-inc")

    for method, path, op in operations(world):
        if op["security"]:
            answer = called(world, method, path, **headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "TENANT_UNKNOWN")
            assert "nowhere-inc" not in answer.text


def test_a_token_without_a_tenant_is_403(world: World, ines: Person) -> None:
    answer = world.client.get(REQUESTS, headers=world.signed_in(ines, tenant=None))

    assert (answer.status_code, answer.json()["code"]) == (403, "TENANT_MISSING")


def test_an_unknown_and_a_foreign_request_answer_the_same_bytes(world: World, ines: Person) -> None:
    somebody, dana_of_north = world.person(), world.person("admin", tenant=NORTH)
    foreign = world.filed(somebody)["reference"]

    for method, path, op in operations(world):
        if "{reference}" not in path or not op["security"]:
            continue
        # A member of the same tenant, and an administrator of another one.
        for caller, tenant in ((ines, ACME), (dana_of_north, NORTH)):
            headers = world.signed_in(caller, tenant=tenant)
            body = {"typed_email": "a@example.org", "reason": "r", "plan_hash": "0" * 64}
            answers = [
                world.client.request(
                    method,
                    path.replace("{reference}", reference),
                    json=body if "requestBody" in op else None,
                    headers={**headers, "Idempotency-Key": world.key()},
                )
                for reference in (UNKNOWN, foreign, "EXP-x%00", "EXP-2026-000650000000000000")
            ]
            assert len({answer.content for answer in answers}) == 1, path
            assert len({answer.status_code for answer in answers}) == 1
            assert answers[0].status_code == (403 if _is_for_deciders(path, caller) else 404)
            shown = [{n: v for n, v in answer.headers.items() if n != "date"} for answer in answers]
            assert all(headers == shown[0] for headers in shown)


def _is_for_deciders(path: str, caller: Person) -> bool:
    return caller.roles == ("member",) and path.endswith(("approve", "confirm-erasure"))


def test_they_answer_the_same_also_while_the_keyring_is_down(world: World, ines: Person) -> None:
    foreign = world.filed(world.person())["reference"]

    def down() -> None:
        raise VaultUnavailable("UNREACHABLE")

    world.keyring.fault = down
    answers = [world.get(ines, f"{REQUESTS}/{reference}") for reference in (UNKNOWN, foreign)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert len({re.sub("occurrence:[0-9a-f]+", "", answer.text) for answer in answers}) == 1


def test_a_person_sees_their_own_requests_and_an_administrator_their_tenants(
    world: World, ines: Person, dana: Person
) -> None:
    somebody = world.person()
    own, others = world.filed(ines)["reference"], world.filed(somebody)["reference"]

    seen = [entry["reference"] for entry in world.get(ines, REQUESTS).json()["data"]]
    overseen = [entry["reference"] for entry in world.get(dana, REQUESTS, limit=200).json()["data"]]

    assert seen == [own]
    assert {own, others} <= set(overseen)


def test_who_never_asked_for_anything_sees_an_empty_list(world: World, ines: Person) -> None:
    assert world.get(ines, REQUESTS).json() == {"data": [], "page": {"next": None, "limit": 50}}


def test_a_list_goes_on_where_its_page_ended(world: World, dana: Person) -> None:
    filed = [world.filed(world.person())["reference"] for _ in range(3)]

    seen: list[str] = []
    after: dict[str, str] = {}
    while len(seen) < 3:
        page = world.get(dana, REQUESTS, limit=1, **after).json()
        seen += [entry["reference"] for entry in page["data"]]
        after = {"after": page["page"]["next"]}

    # Filed within one tick of the clock, so in any order.
    newest = world.get(dana, REQUESTS, limit=3).json()["data"]
    assert seen == [entry["reference"] for entry in newest]
    assert len(set(seen)) == 3
    assert set(filed) <= {
        e["reference"] for e in world.get(dana, REQUESTS, limit=200).json()["data"]
    }


def test_a_member_cannot_file_for_somebody_else_nor_learn_who_exists(
    world: World, ines: Person
) -> None:
    somebody = world.person()

    answers = [
        world.post(ines, REQUESTS, {"type": "export", "subject": subject, "reason": "curious"})
        for subject in (
            {"stable_id": somebody.stable_id},
            {"stable_id": "person-nobody"},
            {"email": somebody.email},
            {"email": "nobody@example.org"},
        )
    ]

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(403, "FORBIDDEN")}
    assert len({answer.content for answer in answers}) == 1
    assert world.commands_of(somebody) == []


def test_a_member_who_names_themselves_files_for_themselves(world: World, ines: Person) -> None:
    data = world.filed(ines, subject={"stable_id": ines.stable_id})

    shown = world.get(ines, f"{REQUESTS}/{data['reference']}").json()["data"]
    assert shown["filed_by"] == "subject"


def test_an_administrator_must_give_a_reason(world: World, dana: Person) -> None:
    somebody = world.person()
    body = {"type": "export", "subject": {"email": somebody.email}}

    without = world.post(dana, REQUESTS, body)
    with_one = world.post(dana, REQUESTS, {**body, "reason": "asked by letter"})

    assert (without.status_code, without.json()["code"]) == (422, "REASON_REQUIRED")
    assert with_one.status_code == 202
    assert "asked by letter" not in str([entry.decision for entry in world.entries])


def test_an_administrator_who_names_nobody_there_is_told_so(world: World, dana: Person) -> None:
    body = {"type": "export", "subject": {"stable_id": "person-nobody"}, "reason": "r"}

    answer = world.post(dana, REQUESTS, body)

    assert (answer.status_code, answer.json()["code"]) == (404, "PERSON_NOT_FOUND")


def test_an_address_that_several_people_have_names_nobody(world: World, dana: Person) -> None:
    first, second = world.person(), world.person()
    people = world.people[ACME]
    people[people.index(second)] = type(second)(
        stable_id=second.stable_id,
        email=first.email,
        name=second.name,
        registered_on=second.registered_on,
        roles=second.roles,
        handles=second.handles,
    )

    answer = world.post(
        dana, REQUESTS, {"type": "export", "subject": {"email": first.email}, "reason": "r"}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "PERSON_AMBIGUOUS")
    assert first.email not in answer.text


@pytest.mark.parametrize("action", ["cancel", "downloads"])
def test_an_auditor_sees_what_they_may_not_touch(world: World, ines: Person, action: str) -> None:
    auditor = world.person("auditor")
    reference = world.filed(ines)["reference"]

    shown = world.get(auditor, f"{REQUESTS}/{reference}")
    acted = world.post(auditor, f"{REQUESTS}/{reference}/{action}")

    assert shown.status_code == 200
    assert (acted.status_code, acted.json()["code"]) == (403, "FORBIDDEN")


def test_a_coach_proposes_and_an_administrator_approves(
    world: World, ines: Person, dana: Person
) -> None:
    coach = world.person("coach")
    body = {"type": "export", "subject": {"stable_id": ines.stable_id}, "reason": "she asked me"}
    proposed = world.post(coach, REQUESTS, body)
    data = proposed.json()["data"]
    path = f"{REQUESTS}/{data['reference']}"
    world.get(dana, path, position=data["position"])

    by_coach = world.post(coach, f"{path}/approve")
    key = world.key()
    approved = world.post(dana, f"{path}/approve", key=key)
    again = world.post(dana, f"{path}/approve", key=key)
    once_more = world.post(dana, f"{path}/approve")

    assert data["state"] == "AWAITING_CONFIRMATION"
    assert by_coach.status_code == 403
    assert (approved.status_code, approved.json()["data"]["state"]) == (202, "PENDING")
    assert again.json() == approved.json()
    assert (once_more.status_code, once_more.json()["code"]) == (409, "VERSION_CONFLICT")


def test_nobody_but_deciders_publishes_a_policy(world: World, ines: Person) -> None:
    answer = world.post(ines, f"{BASE}/policies", {"profile": "workspace-admin"})

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_an_administrator_publishes_a_policy_once_for_each_key(world: World, dana: Person) -> None:
    key = world.key()
    body = {"profile": "workspace-admin", "package_format": "ZIP"}

    first = world.post(dana, f"{BASE}/policies", body, key=key)
    again = world.post(dana, f"{BASE}/policies", body, key=key)
    other = world.post(dana, f"{BASE}/policies", {**body, "grace_days": 1}, key=key)

    assert (first.status_code, first.json()["data"]["state"]) == (202, "PUBLISHED")
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")


def test_the_document_describes_every_operation_as_openapi_3_1(world: World) -> None:
    document = world.client.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "habeas"
    assert re.fullmatch(r"\d+\.\d+\.\d+", document["info"]["version"])
    named = [op["operationId"] for _, _, op in operations(world)]
    assert len(set(named)) == len(named)
    for method, path, op in operations(world):
        assert op["summary"]
        assert any(status.startswith("2") for status in op["responses"])
        assert set(re.findall(r"\{(\w+)\}", path)) == {
            p["name"] for p in op.get("parameters", ()) if p["in"] == "path"
        }
        needs_key = method == "POST" and not path.endswith("downloads")
        keys = [p for p in op.get("parameters", ()) if p["name"] == "Idempotency-Key"]
        assert bool(keys) == needs_key
        assert all(p["required"] for p in keys)
    assert _unresolved(document, document) == []


def _unresolved(part: Any, document: dict[str, Any]) -> list[str]:
    """References that lead nowhere."""
    if isinstance(part, list):
        return [found for entry in part for found in _unresolved(entry, document)]
    if not isinstance(part, dict):
        return []
    found = [missing for entry in part.values() for missing in _unresolved(entry, document)]
    if isinstance(part.get("$ref"), str):
        target: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target.get(step, {})
        found += [] if target else [part["$ref"]]
    return found


def test_a_system_administrator_confirms_the_clock_of_every_partition(
    world: World, dana: Person
) -> None:
    operator = world.person("system_admin")

    assert world.post(dana, f"{BASE}/clock/confirm", None).status_code == 403
    answer = world.post(operator, f"{BASE}/clock/confirm", None)

    assert answer.status_code == 202
    confirmed = [e.decision for e in world.entries if e.decision.command.type == "ConfirmClock"]
    assert {decision.partition for decision in confirmed} == set(world.following.seqs())
    assert {decision.code for decision in confirmed} == {""}

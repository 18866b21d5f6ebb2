"""What callers send wrongly is told precisely, and never repeated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plumbing.directory import Person
from tests.services.request_api.world import BASE, REQUESTS, World

CANARY = "ada.canary@example.org"


def post_raw(world: World, person: Person, path: str, content: bytes, **headers: str) -> Any:
    return world.client.post(
        path,
        content=content,
        headers={
            **world.signed_in(person),
            "Idempotency-Key": world.key(),
            "Content-Type": "application/json",
            **headers,
        },
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"type": "export"', b"\xff\xfe", b'{"type": "export"} x', b"nope", b"\x00"],
)
def test_malformed_json_is_400(world: World, ines: Person, content: bytes) -> None:
    answer = post_raw(world, ines, REQUESTS, content)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_FAILED")
    assert world.commands_of(ines) == []


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"type": "export", "surprise": CANARY}, "/surprise", "EXTRA_FORBIDDEN"),
        ({"type": CANARY}, "/type", "LITERAL_ERROR"),
        ({}, "/type", "MISSING"),
        ({"type": "export", "subject": {"mail": CANARY}}, "/subject/mail", "EXTRA_FORBIDDEN"),
        ({"type": "export", "subject": CANARY}, "/subject", "MODEL_TYPE"),
        ({"type": "export", "reason": CANARY * 100}, "/reason", "STRING_TOO_LONG"),
        # Choosing sections is not offered yet, and what is not offered is not ignored either.
        ({"type": "export", "sections": [CANARY]}, "/sections", "EXTRA_FORBIDDEN"),
        ({"type": "export", "language": CANARY}, "/language", "STRING_PATTERN_MISMATCH"),
        (
            {"type": "export", "subject": {"stable_id": f"{CANARY}\x00"}},
            "/subject/stable_id",
            "STRING_PATTERN_MISMATCH",
        ),
        ([CANARY], "", "MODEL_TYPE"),
    ],
)
def test_a_field_that_is_wrong_is_named_by_its_pointer_and_never_quoted(
    world: World, ines: Person, body: Any, pointer: str, code: str
) -> None:
    answer = post_raw(world, ines, REQUESTS, json.dumps(body).encode())

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "VALIDATION_FAILED")
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(pointer, code)]
    assert "canary" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_surrogate_that_is_no_text_is_refused_and_not_a_crash(world: World, ines: Person) -> None:
    answer = post_raw(world, ines, REQUESTS, b'{"type": "export", "reason": "\\ud800"}')

    assert answer.status_code in (400, 422)


def test_another_media_type_than_json_is_415(world: World, ines: Person) -> None:
    answer = post_raw(
        world,
        ines,
        REQUESTS,
        b"type=export",
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "MEDIA_TYPE_UNSUPPORTED")


def test_a_body_beyond_the_limit_is_413(world: World, ines: Person) -> None:
    answer = post_raw(world, ines, REQUESTS, b'"' + b"x" * 70_000 + b'"')

    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "path",
    [
        REQUESTS,
        f"{REQUESTS}/EXP-2026-00065/cancel",
        f"{REQUESTS}/EXP-2026-00065/approve",
        f"{REQUESTS}/ERA-2026-00065/confirm-erasure",
        f"{BASE}/policies",
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}])
def test_a_command_without_an_idempotency_key_is_400(
    world: World, dana: Person, path: str, headers: dict[str, str]
) -> None:
    answer = world.client.post(
        path, json={"type": "export"}, headers={**world.signed_in(dana), **headers}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_FAILED")
    (error,) = answer.json()["errors"]
    assert error["code"] == "HEADER_MISSING"
    assert "Idempotency-Key" in error["message"]


def test_a_person_is_named_by_one_thing_only(world: World, dana: Person) -> None:
    for subject in ({}, {"stable_id": "person-1", "email": CANARY}):
        answer = world.post(dana, REQUESTS, {"type": "export", "subject": subject, "reason": "r"})

        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
        assert "canary" not in answer.text


@pytest.mark.parametrize(
    "cursor", ["x", "%00", "é", "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCAA", "MjAyNi0wMS0wMSB4"]
)
def test_a_cursor_of_nobodys_is_400(world: World, dana: Person, cursor: str) -> None:
    answer = world.get(dana, REQUESTS, after=cursor)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize("limit", ["0", "201", "x", ""])
def test_a_limit_beyond_its_bounds_is_422(world: World, dana: Person, limit: str) -> None:
    answer = world.get(dana, REQUESTS, limit=limit)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/limit")


@pytest.mark.parametrize("position", ["x", "0", "0-", "-1-2", "0-1x", "99999-1", "0-9999999999999"])
def test_a_position_that_is_none_is_400(world: World, ines: Person, position: str) -> None:
    answer = world.get(ines, f"{REQUESTS}/EXP-2026-00065", position=position)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize("body", [{"profile": "mine"}, {"profile": "org-jobs", "grace_days": 400}])
def test_a_policy_out_of_bounds_is_422(world: World, dana: Person, body: dict[str, Any]) -> None:
    answer = world.post(dana, f"{BASE}/policies", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")


def test_a_policy_that_names_a_source_nobody_has_is_422(world: World, dana: Person) -> None:
    body = {"profile": "workspace-admin", "sources": ["journal", "loyalty-canary"]}

    answer = world.post(dana, f"{BASE}/policies", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "SOURCE_UNKNOWN")
    assert answer.json()["unknown_count"] == 1
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/page", 404),
        ("DELETE", REQUESTS, 405),
        ("GET", f"{REQUESTS}/EXP-2026-00065/", 404),
    ],
)
def test_what_is_not_there_is_refused_in_the_same_shape(
    world: World, ines: Person, method: str, path: str, status: int
) -> None:
    answer = world.client.request(method, path, headers=world.signed_in(ines))

    assert answer.status_code == status
    assert {"type", "title", "status", "detail", "code", "message"} <= answer.json().keys()

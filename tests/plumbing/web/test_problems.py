"""One error body for everyone, which says nothing that the caller said."""

from __future__ import annotations

import json
import re

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from plumbing.web import FieldError, Problem, exception_handlers, respond

TOKEN = "tok-7f3a-canary"


async def refuse(_request: Request) -> Response:
    raise Problem(
        409,
        "CONFLICT_GDPR_EXPORT",
        "You already have a pending export request.",
        next_step="Wait until it is ready.",
        headers={"Retry-After": "60"},
        members={"existing": "EXP-2026-00042"},
    )


async def crash(_request: Request) -> Response:
    raise RuntimeError(f"could not find {TOKEN}")


@pytest.fixture
def client() -> TestClient:
    app = Starlette(
        routes=[Route("/refuse", refuse), Route("/exports/{token}", crash)],
        exception_handlers=exception_handlers(),
    )
    return TestClient(app, raise_server_exceptions=False)


def test_a_problem_is_both_rfc_9457_and_the_source_documents_body(client: TestClient) -> None:
    answer = client.get("/refuse")

    assert answer.json() == {
        "type": "urn:habeas:problem:conflict-gdpr-export",
        "title": "Conflict",
        "status": 409,
        "detail": "You already have a pending export request.",
        "code": "CONFLICT_GDPR_EXPORT",
        "message": "You already have a pending export request.",
        "next_step": "Wait until it is ready.",
        "existing": "EXP-2026-00042",
    }
    assert answer.status_code == 409
    assert answer.headers["retry-after"] == "60"
    assert answer.headers["cache-control"] == "no-store"


def test_a_refusal_is_the_same_bytes_each_time_and_only_our_own_failures_have_an_instance(
    client: TestClient,
) -> None:
    refused = [client.get("/refuse").content for _ in range(2)]
    failed = [client.get("/exports/x").json()["instance"] for _ in range(2)]

    assert refused[0] == refused[1]
    assert failed[0] != failed[1]
    assert all(re.fullmatch(r"urn:habeas:occurrence:[0-9a-f]{16}", one) for one in failed)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/problem+json"),
        ("", "application/problem+json"),
        ("text/html", "application/problem+json"),
        ("application/json", "application/json"),
        ("application/json;q=0.9, text/html", "application/json"),
        ("application/json, */*;q=0.1", "application/problem+json"),
        ("application/json, application/problem+json", "application/problem+json"),
        ("application/*", "application/problem+json"),
    ],
)
def test_the_media_type_is_plain_only_for_those_who_take_nothing_else(
    client: TestClient, accept: str, media_type: str
) -> None:
    answer = client.get("/refuse", headers={"Accept": accept})

    assert answer.headers["content-type"] == media_type


def test_a_crash_says_nothing_of_what_was_asked(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = client.get(f"/exports/{TOKEN}")

    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL"
    logged = capsys.readouterr().err
    assert TOKEN not in answer.text + logged
    occurrence = answer.json()["instance"].rpartition(":")[2]
    assert any(json.loads(line).get("occurrence") == occurrence for line in logged.splitlines())
    assert "builtins.RuntimeError" in logged


def test_what_a_framework_refuses_has_the_same_shape(client: TestClient) -> None:
    missing = client.get(f"/no-such-page/{TOKEN}")
    wrong = client.post("/refuse")

    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in wrong.headers["allow"]
    assert TOKEN not in missing.text


def test_field_errors_point_and_own_members_cannot_replace_the_contracts() -> None:
    error = FieldError(pointer="/reason", code="MISSING", message="This is required.")
    problem = Problem(
        422, "VALIDATION_FAILED", "Not valid.", errors=(error,), members={"status": 200}
    )

    body = json.loads(bytes(respond(problem).body))

    assert body["status"] == 422
    assert body["errors"] == [
        {"pointer": "/reason", "code": "MISSING", "message": "This is required."}
    ]

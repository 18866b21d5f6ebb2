"""An API declared as a table: routing, who may call, what may be sent, and nothing else."""

from __future__ import annotations

import json
import threading
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from plumbing.web import (
    Answer,
    Auth,
    Call,
    HeaderField,
    Op,
    Problem,
    TokenVerifier,
    Wire,
    application,
    bearer,
)
from tests.plumbing.web.issuing import DemoIssuer

CANARY = "ada.canary@example.org"


class Format(StrEnum):
    ZIP = "zip"
    JSON = "json"


class FileExport(Wire):
    reason: Annotated[str, Field(min_length=3, max_length=40)]
    format: Format = Format.ZIP
    categories: tuple[str, ...] = ()
    priority: Annotated[int, Field(ge=1, le=5)] = 1


class Listing(Wire):
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    status: tuple[str, ...] = ()


class Filed(BaseModel):
    reference: str
    thread: str


async def file_export(call: Call) -> Answer:
    filed = call.body_as(FileExport)
    body = Filed(reference=f"EXP-{filed.format}", thread=threading.current_thread().name)
    return Answer(body=body, headers={"Location": "/exports/EXP-1"})


def show(call: Call) -> Answer:
    """Blocks, so it is no coroutine."""
    name = threading.current_thread().name
    return Answer(body=Filed(reference=call.path["ref"], thread=name))


async def listed(call: Call) -> Response:
    query = call.query_as(Listing)
    return PlainTextResponse(f"{query.limit} {','.join(query.status)}")


async def erase(call: Call) -> Answer:
    assert call.known_caller.subject == "person-ines"
    return Answer()


async def ping(_call: Call) -> Answer:
    return Answer()


async def optional(call: Call) -> Response:
    return PlainTextResponse("nothing" if call.body is None else "something")


async def crash(_call: Call) -> Answer:
    raise Problem(409, "CONFLICT_ERASURE", "An erasure is open.")


KEY = HeaderField(name="Idempotency-Key", description="Makes trying again safe.", required=True)
OPERATIONS = [
    Op(
        method="POST",
        path="/exports",
        handler=file_export,
        summary="File an export",
        auth=Auth(scopes=frozenset({"requests:file"})),
        status=202,
        request=FileExport,
        response=Filed,
        errors=((409, "CONFLICT_GDPR_EXPORT"),),
    ),
    Op(method="GET", path="/exports", handler=listed, summary="List", auth=Auth(), query=Listing),
    Op(
        method="GET",
        path="/exports/{ref}",
        handler=show,
        summary="Show an export",
        auth=Auth(),
        response=Filed,
    ),
    Op(
        method="POST",
        path="/erase",
        handler=erase,
        summary="Erase",
        auth=Auth(roles=frozenset({"admin", "privacy-officer"})),
        status=204,
        headers=(KEY,),
    ),
    Op(
        method="POST",
        path="/optional",
        handler=optional,
        summary="A body is welcome",
        auth=None,
        request=FileExport,
        request_required=False,
    ),
    Op(method="GET", path="/ping", handler=ping, summary="Anyone", auth=None, status=204),
    Op(method="GET", path="/conflict", handler=crash, summary="Never", auth=None),
]


@pytest.fixture
def client(verifier: TokenVerifier) -> TestClient:
    app = application(OPERATIONS, bearer(verifier), body_bytes_max=2000)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def signed_in(issuer: DemoIssuer) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.token()}"}


def test_an_operation_answers_with_its_status_and_body(
    client: TestClient, signed_in: dict[str, str]
) -> None:
    answer = client.post("/exports", headers=signed_in, json={"reason": "moving", "format": "json"})

    assert answer.status_code == 202
    assert answer.json()["reference"] == "EXP-json"
    assert answer.headers["location"] == "/exports/EXP-1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


def test_a_handler_that_blocks_does_not_block_the_loop(
    client: TestClient, signed_in: dict[str, str]
) -> None:
    shown = client.get("/exports/EXP-7", headers=signed_in).json()
    filed = client.post("/exports", headers=signed_in, json={"reason": "moving"}).json()

    assert shown["reference"] == "EXP-7"
    assert shown["thread"] != filed["thread"]


def test_nobody_comes_in_without_a_token(client: TestClient) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}):
        answer = client.post("/exports", headers=headers, content=b"x" * 5000)
        assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_FAILED")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_bad_token_is_not_told_why(client: TestClient, issuer: DemoIssuer) -> None:
    expired = issuer.token(exp=1)
    foreign = issuer.token(aud="somebody-else")

    answers = [
        client.get("/exports/1", headers={"Authorization": f"bearer {token}"})
        for token in (expired, foreign, "nonsense")
    ]

    bodies = [answer.content for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert all(answer.status_code == 401 for answer in answers)
    assert answers[0].headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_an_issuer_that_is_down_is_answered_with_come_back(
    client: TestClient, issuer: DemoIssuer, signed_in: dict[str, str]
) -> None:
    issuer.down = True

    answer = client.get("/exports/1", headers=signed_in)

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"


def test_a_missing_scope_or_role_is_forbidden(client: TestClient, issuer: DemoIssuer) -> None:
    reader = {"Authorization": f"Bearer {issuer.token(scope='requests:read')}"}

    assert client.post("/exports", headers=reader, json={"reason": "abc"}).status_code == 403
    assert client.post("/erase", headers=reader).json()["code"] == "FORBIDDEN"


def test_one_of_the_roles_is_enough(client: TestClient, issuer: DemoIssuer) -> None:
    officer = issuer.token(roles=["member", "privacy-officer"])
    headers = {"Authorization": f"Bearer {officer}", "Idempotency-Key": "k-1"}

    answer = client.post("/erase", headers=headers)

    assert (answer.status_code, answer.content) == (204, b"")


def test_a_required_header_is_required(client: TestClient, issuer: DemoIssuer) -> None:
    headers = {"Authorization": f"Bearer {issuer.token(roles=['admin'])}"}

    answer = client.post("/erase", headers=headers)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert "Idempotency-Key" in error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"reason": nope}', b"\x00", b'{"a":1} x'])
def test_what_is_not_json_is_400(
    client: TestClient, signed_in: dict[str, str], body: bytes
) -> None:
    headers = {**signed_in, "Content-Type": "application/json"}

    answer = client.post("/exports", headers=headers, content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/reason", "MISSING"),
        ({"reason": "abc", "surprise": CANARY}, "/surprise", "EXTRA_FORBIDDEN"),
        ({"reason": "abc", CANARY: 1}, "", "EXTRA_FORBIDDEN"),
        ({"reason": CANARY * 9}, "/reason", "STRING_TOO_LONG"),
        ({"reason": "abc", "format": CANARY}, "/format", "ENUM"),
        ({"reason": "abc", "categories": [1, CANARY]}, "/categories/0", "STRING_TYPE"),
        ({"reason": "abc", "priority": 9}, "/priority", "LESS_THAN_EQUAL"),
        ({"reason": "abc", "priority": CANARY}, "/priority", "INT_PARSING"),
        ([CANARY], "", "MODEL_TYPE"),
        (CANARY, "", "MODEL_TYPE"),
    ],
)
def test_what_is_json_and_wrong_is_422_with_a_pointer_and_never_the_input(
    client: TestClient, signed_in: dict[str, str], body: Any, pointer: str, code: str
) -> None:
    answer = client.post("/exports", headers=signed_in, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert "canary" not in answer.text


def test_limits_are_told_in_sentences(client: TestClient, signed_in: dict[str, str]) -> None:
    answer = client.post("/exports", headers=signed_in, json={"reason": "x", "format": "tar"})

    sentences = {error["pointer"]: error["message"] for error in answer.json()["errors"]}
    assert sentences == {
        "/reason": "This is shorter than 3 characters.",
        "/format": "This is not one of 'zip' or 'json'.",
    }


def test_errors_are_not_listed_without_end(client: TestClient, signed_in: dict[str, str]) -> None:
    answer = client.post(
        "/exports", headers=signed_in, json={"reason": "abc", "categories": [1] * 500}
    )

    assert len(answer.json()["errors"]) == 20


def test_a_body_has_a_limit_whether_its_length_is_told_or_not(
    client: TestClient, signed_in: dict[str, str]
) -> None:
    headers = {**signed_in, "Content-Type": "application/json"}
    told = client.post("/exports", headers=headers, content=b" " * 2001)
    untold = client.post("/exports", headers=headers, content=iter([b" " * 1500] * 2))

    for answer in (told, untold):
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_body_is_json_or_refused(client: TestClient, signed_in: dict[str, str]) -> None:
    def sent_as(media_type: str) -> int:
        headers = {**signed_in, "Content-Type": media_type}
        return client.post("/exports", headers=headers, content=b'{"reason":"abc"}').status_code

    assert sent_as("text/plain") == 415
    assert sent_as("application/x-www-form-urlencoded") == 415
    assert sent_as("application/json; charset=utf-8") == 202
    assert sent_as("application/merge-patch+json") == 202


def test_an_optional_body_may_be_absent_but_not_wrong(client: TestClient) -> None:
    assert client.post("/optional").text == "nothing"
    assert client.post("/optional", json={"reason": "abc"}).text == "something"
    assert client.post("/optional", json={"reason": ""}).status_code == 422


def test_a_query_is_checked_like_a_body(client: TestClient, signed_in: dict[str, str]) -> None:
    def asked(query: str) -> Any:
        return client.get(f"/exports?{query}", headers=signed_in)

    assert asked("limit=5&status=PENDING&status=FAILED").text == "5 PENDING,FAILED"
    assert asked("").text == "50 "
    assert asked("limit=1000").json()["errors"][0]["pointer"] == "/query/limit"
    assert asked(f"surprise={CANARY}").status_code == 422
    assert CANARY not in asked(f"limit={CANARY}").text
    assert asked("limit=1&limit=2").status_code == 422


def test_a_path_knows_all_its_methods(client: TestClient) -> None:
    answer = client.delete("/exports")

    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_path_with_a_slash_too_many_is_another_path(client: TestClient) -> None:
    assert client.get("/ping/", follow_redirects=False).status_code == 404
    assert client.get("/ping").status_code == 204
    assert client.head("/ping").status_code == 204


def test_a_handlers_problem_is_the_answer(client: TestClient) -> None:
    assert client.get("/conflict").json()["code"] == "CONFLICT_ERASURE"


def test_a_model_that_takes_unknown_fields_is_no_request() -> None:
    with pytest.raises(ValueError, match="Wire"):
        Op(method="POST", path="/", handler=ping, summary="x", auth=None, request=Filed)


def test_a_route_stands_once_in_the_table(verifier: TokenVerifier) -> None:
    operation = Op(method="GET", path="/ping", handler=ping, summary="x", auth=None)

    with pytest.raises(ValueError, match="twice"):
        application([operation, operation], bearer(verifier))


def test_a_model_never_shows_its_input_in_an_exception() -> None:
    with pytest.raises(ValueError, match="validation error") as wrong:
        FileExport.model_validate_json(json.dumps({"reason": CANARY * 9}))
    assert CANARY not in str(wrong.value)

"""Errors as people and programs read them: one body, RFC 9457 and the source documents' at once.

`{type, title, status, detail, instance?, code, message, errors?, next_step?}` where `message` is
`detail`. Rule 1: no body repeats what the caller sent. Rule 2: only our own failures (5xx) carry an
`instance`, which can be quoted to support and found in our log; it is never the path, which may
hold a token. Refusals are the same bytes each time: what somebody may not see must answer exactly
as what does not exist.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbing import telemetry

PROBLEM_JSON: Final = "application/problem+json"
PLAIN_JSON: Final = "application/json"
_CODES: Final = {
    400: "VALIDATION_FAILED",
    401: "AUTHENTICATION_FAILED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "BODY_TOO_LARGE",
    415: "MEDIA_TYPE_UNSUPPORTED",
    503: "UNAVAILABLE",
}
_log = telemetry.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field: where (RFC 6901), a code, a sentence. Never the value."""

    pointer: str
    code: str
    message: str


class Problem(Exception):  # noqa: N818 -- RFC 9457's own word.
    """A refusal or failure on its way to the caller.

    `members` adds members of its own to the body, such as `guards` to GUARD_FAILED.
    """

    def __init__(  # noqa: PLR0913 -- Each is a member of the body or a header.
        self,
        status: int,
        code: str,
        message: str,
        *,
        next_step: str = "",
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.next_step = next_step
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def body(self, instance: str = "") -> dict[str, Any]:
        slug = self.code.lower().replace("_", "-")
        body = {
            **self.members,
            "type": f"urn:habeas:problem:{slug}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "message": self.message,
        }
        if instance:
            body["instance"] = instance
        if self.errors:
            body["errors"] = [
                {"pointer": error.pointer, "code": error.code, "message": error.message}
                for error in self.errors
            ]
        if self.next_step:
            body["next_step"] = self.next_step
        return body


def respond(problem: Problem, accept: str = "") -> Response:
    """The response to a caller whose Accept header is `accept`."""
    instance = ""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        occurrence = secrets.token_hex(8)
        instance = f"urn:habeas:occurrence:{occurrence}"
        _log.error("problem", code=problem.code, status=problem.status, occurrence=occurrence)
    return Response(
        orjson.dumps(problem.body(instance)),
        status_code=problem.status,
        media_type=_media_type(accept),
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def exception_handlers() -> Mapping[Any, Callable[[Request, Any], Awaitable[Response]]]:
    """What a Starlette application needs so that no error leaves it in another shape."""
    return {Problem: _on_problem, HTTPException: _on_http_exception, Exception: _on_bug}


class LastResort:
    """Answers what nobody caught, within the application.

    Starlette's own way is to answer and then to raise all the same, upon which the server closes
    the connection: whoever sends the next request on it, as a client that tries again does, gets
    no answer at all.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def watched(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if is_begun:
                # Half an answer is on its way; only breaking off says that it is no whole one.
                raise
            response = await _on_bug(Request(scope), error)
            await response(scope, receive, send)


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem that a bare status stands for, where a framework knows no more."""
    phrase = HTTPStatus(status).phrase
    code = _CODES.get(status, phrase.upper().replace(" ", "_").replace("-", "_"))
    return Problem(status, code, f"{phrase}.", headers=headers)


async def _on_problem(request: Request, problem: Problem) -> Response:
    return respond(problem, request.headers.get("accept", ""))


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    # Starlette's detail may quote the path; the status says what there is to say.
    problem = of_status(error.status_code, error.headers)
    return respond(problem, request.headers.get("accept", ""))


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("request_crashed", error=error, method=request.method)
    problem = Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "INTERNAL",
        "Sorry, there is a problem on our side.",
        next_step="Trying again with the same Idempotency-Key is safe. "
        "If it happens again, quote the instance to support.",
    )
    return respond(problem, request.headers.get("accept", ""))


def _media_type(accept: str) -> str:
    """Problem JSON, unless the caller takes plain JSON and nothing that includes the other."""
    ranges = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if PLAIN_JSON in ranges and not ranges & {PROBLEM_JSON, "*/*", "application/*"}:
        return PLAIN_JSON
    return PROBLEM_JSON

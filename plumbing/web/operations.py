"""The operation table: each route of an API declared once, for routing, checks and documents alike.

Rule 1: `auth` has no default: that an operation is open to anyone is written down (None).
Rule 2: who calls is checked before the body is read.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plumbing.web.authentication import Auth, Authenticator
from plumbing.web.bodies import parse_body, parse_query, read_body, require_json
from plumbing.web.problems import FieldError, LastResort, Problem, exception_handlers
from plumbing.web.tokens import Caller

_M = TypeVar("_M", bound=BaseModel)
BODY_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as its handler sees it: proved, read and checked."""

    request: Request
    caller: Caller | None
    body: BaseModel | None = None
    query: BaseModel | None = None

    @property
    def path(self) -> Mapping[str, Any]:
        return self.request.path_params

    @property
    def known_caller(self) -> Caller:
        """The caller of an operation that is not open to anyone."""
        if self.caller is None:
            raise AssertionError("this operation is open to anyone")
        return self.caller

    def body_as(self, model: type[_M]) -> _M:
        return _as(self.body, model)

    def query_as(self, model: type[_M]) -> _M:
        return _as(self.query, model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler answers; `status` only where it is not the operation's own."""

    body: BaseModel | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Answer | Response
# A plain function may block: it runs in a thread. A coroutine may not.
Handler = Callable[[Call], Answering] | Callable[[Call], Awaitable[Answering]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderField:
    """A request header that an operation reads; a required one is checked before its handler."""

    name: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation.

    `errors` are (status, code) pairs beyond those every operation has. `produces` is the media type
    of a success without `response` model; empty if a success has no body.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    auth: Auth | None
    status: int = 200
    request: type[BaseModel] | None = None
    request_required: bool = True
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    produces: str = ""
    headers: tuple[HeaderField, ...] = ()
    errors: tuple[tuple[int, str], ...] = ()
    operation_id: str = ""

    def __post_init__(self) -> None:
        for model in (self.request, self.query):
            if model is not None and model.model_config.get("extra") != "forbid":
                raise ValueError(f"{model.__name__} takes unknown fields; derive it from Wire")

    @property
    def id(self) -> str:
        name: str = getattr(self.handler, "__name__", "")
        return self.operation_id or name


def routes(
    operations: Sequence[Op],
    authenticate: Authenticator,
    *,
    body_bytes_max: int = BODY_BYTES_MAX,
) -> list[Route]:
    """One route a path, in the order of the table, so that a 405 knows every method allowed."""
    by_path: dict[str, dict[str, Op]] = {}
    for operation in operations:
        methods = by_path.setdefault(operation.path, {})
        if operation.method in methods:
            raise ValueError(f"{operation.method} {operation.path} stands twice in the table")
        methods[operation.method] = operation
    return [
        Route(path, _endpoint(methods, authenticate, body_bytes_max), methods=list(methods))
        for path, methods in by_path.items()
    ]


def application(
    operations: Sequence[Op],
    authenticate: Authenticator,
    *,
    body_bytes_max: int = BODY_BYTES_MAX,
    more_routes: Sequence[BaseRoute] = (),
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """An application of these operations in which every error is a problem body."""
    app = Starlette(
        routes=[*routes(operations, authenticate, body_bytes_max=body_bytes_max), *more_routes],
        middleware=[Middleware(LastResort), *middleware],
        exception_handlers=exception_handlers(),
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(
    methods: Mapping[str, Op], authenticate: Authenticator, body_bytes_max: int
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # Starlette lets HEAD in wherever GET is.
        operation = methods["GET" if request.method == "HEAD" else request.method]
        caller = await _admitted(operation, authenticate, request)
        _require_headers(operation, request)
        call = Call(
            request=request,
            caller=caller,
            query=parse_query(operation.query, request.query_params) if operation.query else None,
            body=await _body(operation, request, body_bytes_max),
        )
        return _response(operation, await _handled(operation, call))

    return endpoint


async def _admitted(operation: Op, authenticate: Authenticator, request: Request) -> Caller | None:
    if operation.auth is None:
        return None
    caller = await authenticate(request)
    operation.auth.check(caller)
    return caller


def _require_headers(operation: Op, request: Request) -> None:
    missing = [
        FieldError(pointer="", code="HEADER_MISSING", message=f"{header.name} is required.")
        for header in operation.headers
        if header.required and not request.headers.get(header.name)
    ]
    if missing:
        raise Problem(
            400, "VALIDATION_FAILED", "A required header is missing.", errors=tuple(missing)
        )


async def _body(operation: Op, request: Request, body_bytes_max: int) -> BaseModel | None:
    if operation.request is None:
        return None
    body = await read_body(request, body_bytes_max)
    if not body and not operation.request_required:
        return None
    require_json(request)
    return parse_body(operation.request, body)


async def _handled(operation: Op, call: Call) -> Answering:
    if inspect.iscoroutinefunction(operation.handler):
        answer: Answering = await operation.handler(call)
    else:
        answer = await run_in_threadpool(operation.handler, call)  # type: ignore[arg-type]
    return answer


def _response(operation: Op, answer: Answering) -> Response:
    if isinstance(answer, Response):
        return answer
    status = answer.status or operation.status
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.body is None:
        return Response(status_code=status, headers=headers)
    content = answer.body.model_dump_json(by_alias=True)
    return Response(content, status, headers, media_type="application/json")


def _as(value: BaseModel | None, model: type[_M]) -> _M:
    if not isinstance(value, model):
        raise TypeError(f"this operation was not declared with {model.__name__}")
    return value

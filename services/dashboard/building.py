"""The application, put together from its parts."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.web import Problem, of_status
from services.dashboard.api import RequestApi, SessionEndedError
from services.dashboard.config import DashboardConfig
from services.dashboard.guards import STATIC, Guarded
from services.dashboard.pages import HOME, SIGN_IN, Pages, SignInNeededError
from services.dashboard.rendering import Views
from services.dashboard.sessions import Sessions
from services.dashboard.signing_in import SignIn
from services.dashboard.words import trouble

_STATIC_FILES: Final = Path(__file__).parent / "static"
# After these the same form, with the same key, may be sent again.
_WORTH_REPEATING: Final = frozenset({"OUTCOME_UNKNOWN", "UNAVAILABLE"})
_log = telemetry.get("dashboard")


def build(config: DashboardConfig, clock: Clock) -> ASGIApp:
    pages = Pages(
        config=config,
        sessions=Sessions(config.session_key.reveal().encode(), clock),
        sign_in_by=SignIn(config.issuer, clock),
        api=RequestApi(config.request_api),
        views=Views(),
        clock=clock,
    )
    failures = _Failures(pages)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await pages.api.close()
        await pages.sign_in_by.close()

    app = Starlette(
        routes=_routes(pages),
        lifespan=lifespan,
        exception_handlers={
            Problem: failures.on_problem,
            HTTPException: failures.on_http_exception,
            SignInNeededError: failures.on_sign_in_needed,
            SessionEndedError: failures.on_session_ended,
            Exception: failures.on_bug,
        },
    )
    app.router.redirect_slashes = False
    return Guarded(app, config.origin, failures.on_foreign_form)


def _routes(pages: Pages) -> list[BaseRoute]:
    one = f"{HOME}/requests/{{reference}}"
    return [
        Route("/", _home),
        Route(SIGN_IN, pages.show_sign_in, methods=["GET"]),
        Route(SIGN_IN, pages.sign_in, methods=["POST"]),
        Route("/sign-out", pages.sign_out, methods=["POST"]),
        Route(HOME, pages.privacy),
        Route(f"{HOME}/export", pages.export, methods=["POST"]),
        Route(f"{HOME}/delete", pages.show_delete, methods=["GET"]),
        Route(f"{HOME}/delete", pages.delete, methods=["POST"]),
        Route(one, pages.request),
        Route(f"{one}/cancel", pages.cancel, methods=["POST"]),
        Route(f"{one}/download", pages.download, methods=["POST"]),
        Route("/livez", _livez),
        # Browsers ask for it unbidden; that there is none is no error.
        Route("/favicon.ico", _no_icon),
        Mount(STATIC.rstrip("/"), StaticFiles(directory=_STATIC_FILES)),
    ]


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME, status_code=HTTPStatus.SEE_OTHER)


async def _livez(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _no_icon(_: Request) -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)


class _Failures:
    """Whatever goes wrong ends in a page: a sentence, what to do next, what to quote."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def on_problem(self, request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return self._page(request, problem)

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._page(request, of_status(error.status_code, error.headers))

    async def on_bug(self, request: Request, error: Exception) -> Response:
        _log.error("request_crashed", error=error, method=request.method)
        return self._page(request, Problem(500, "INTERNAL", ""))

    async def on_foreign_form(self, request: Request) -> Response:
        _log.warning("foreign_form_refused")
        problem = Problem(
            HTTPStatus.FORBIDDEN,
            "FORM_FOREIGN",
            "This form does not come from our own pages. Nothing was done.",
            next_step="Open your privacy page and press the button there.",
        )
        return self._page(request, problem)

    async def on_sign_in_needed(self, request: Request, needed: Exception) -> Response:
        assert isinstance(needed, SignInNeededError)
        return self._to_sign_in(request, had_session=needed.had_session)

    async def on_session_ended(self, request: Request, _: Exception) -> Response:
        self._pages.end_session(request)
        return self._to_sign_in(request, had_session=True)

    def _to_sign_in(self, request: Request, *, had_session: bool) -> Response:
        # What a form wanted is not done unasked after signing in: its page is shown again.
        after = request.url.path if request.method == "GET" else HOME
        query = urlencode({"next": after} | ({"ended": "1"} if had_session else {}))
        response = RedirectResponse(f"{SIGN_IN}?{query}", status_code=HTTPStatus.SEE_OTHER)
        return self._pages.forget(response) if had_session else response

    def _page(self, request: Request, problem: Problem) -> Response:
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            problem.members.setdefault("occurrence", "")
            occurrence = problem.members["occurrence"] or secrets.token_hex(8)
            problem.members["occurrence"] = occurrence
            _log.error("problem", code=problem.code, status=problem.status, occurrence=occurrence)
        key = getattr(request.state, "key", "")
        is_repeatable = bool(key) and problem.code in _WORTH_REPEATING
        response = self._pages.views.page(
            request,
            "problem.html",
            status=problem.status,
            trouble=trouble(problem),
            again=request.url.path if is_repeatable else "",
            key=key,
        )
        response.headers.update(problem.headers)
        return response

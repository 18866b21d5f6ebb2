"""One function a page. A button is a form; what it did is shown by the page it leads to (303)."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.web import Problem, of_status
from plumbing.web.bodies import read_body
from services.dashboard.api import Archive, RequestApi
from services.dashboard.config import DashboardConfig
from services.dashboard.rendering import Row, Views
from services.dashboard.sessions import Session, Sessions
from services.dashboard.signing_in import SignIn, SignInRefusedError

HOME: Final = "/account/privacy"
SIGN_IN: Final = "/sign-in"
OVERSEERS: Final = frozenset({"system_admin", "admin", "privacy_officer", "auditor"})
FORM_BYTES_MAX: Final = 16 * 1024
_FIELDS_MAX: Final = 20
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_REFERENCE: Final = re.compile(r"(?:EXP|ERA)-\d{4}-\d{5,12}")
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_OWN_PAGE: Final = re.compile(r"/account/[A-Za-z0-9/_-]{0,100}")
_log = telemetry.get("dashboard")


class SignInNeededError(Exception):
    """Nobody is signed in at this browser. `had_session`: somebody was."""

    def __init__(self, *, had_session: bool) -> None:
        super().__init__()
        self.had_session = had_session


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    config: DashboardConfig
    sessions: Sessions
    sign_in_by: SignIn
    api: RequestApi
    views: Views
    clock: Clock

    async def show_sign_in(self, request: Request) -> Response:
        return self._sign_in_page(request, after=request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        form = await read_form(request)
        email, after = form.get("email", "").strip(), form.get("next", "")
        try:
            granted = await self.sign_in_by.exchange(email, form.get("password", ""))
        except SignInRefusedError:
            _log.info("sign_in_refused")
            return self._sign_in_page(request, after=after, email=email, is_refused=True)
        session = Session(
            token=granted.token,
            email=email,
            tenant=granted.caller.tenant or "",
            roles=granted.caller.roles,
        )
        # A new id for whoever proved to be there; the one the browser came with ends here. (T-02)
        self.sessions.close(self._session_id(request))
        session_id = self.sessions.open(session, granted.lifetime)
        _log.info("signed_in", tenant=session.tenant)
        response = _see(after if _OWN_PAGE.fullmatch(after) else HOME)
        response.set_cookie(
            self.cookie,
            session_id,
            path="/",
            secure=self.config.is_secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        self.sessions.close(self._session_id(request))
        return self.forget(_see(SIGN_IN))

    async def privacy(self, request: Request) -> Response:
        session = self._signed_in(request)
        listed = await self.api.listed(session, request.query_params.get("after", ""))
        now = self.clock.now()
        return self.views.page(
            request,
            "privacy.html",
            rows=[Row(asked, now) for asked in listed.data],
            older=urlencode({"after": listed.page.next}) if listed.page.next else "",
            # The API lists to them what they oversee, and the page says so.
            is_overseer=bool(session.roles & OVERSEERS),
        )

    async def request(self, request: Request) -> Response:
        session, reference = self._signed_in(request), _reference(request)
        asked = await self.api.show(session, reference)
        timeline = await self.api.timeline(session, reference)
        row = Row(asked, self.clock.now())
        return self.views.page(request, "request.html", row=row, timeline=timeline)

    async def show_delete(self, request: Request) -> Response:
        self._signed_in(request)
        return self.views.page(request, "delete.html")

    async def export(self, request: Request) -> Response:
        session, key = await self._pressed(request)
        return _see(f"{HOME}/requests/{await self.api.file(session, 'export', key)}")

    async def delete(self, request: Request) -> Response:
        session, key = await self._pressed(request)
        return _see(f"{HOME}/requests/{await self.api.file(session, 'erasure', key)}")

    async def cancel(self, request: Request) -> Response:
        reference = _reference(request)
        session, key = await self._pressed(request)
        await self.api.cancel(session, reference, key)
        return _see(f"{HOME}/requests/{reference}")

    async def download(self, request: Request) -> Response:
        reference = _reference(request)
        session, key = await self._pressed(request)
        return _Passed(await self.api.archive(session, reference, key))

    @property
    def cookie(self) -> str:
        return "__Host-session" if self.config.is_secure else "session"

    def end_session(self, request: Request) -> None:
        self.sessions.close(self._session_id(request))

    def forget(self, response: Response) -> Response:
        """Let the browser forget its cookie."""
        response.delete_cookie(
            self.cookie, path="/", secure=self.config.is_secure, httponly=True, samesite="lax"
        )
        return response

    def _signed_in(self, request: Request) -> Session:
        session_id = self._session_id(request)
        # A page that reloads itself is not a person; otherwise an open one would never be idle.
        session = self.sessions.find(session_id, is_person="watch" not in request.query_params)
        if session is None:
            raise SignInNeededError(had_session=bool(session_id))
        request.state.session = session
        return session

    async def _pressed(self, request: Request) -> tuple[Session, str]:
        """Who pressed a button, and the key of the form it stood in."""
        session = self._signed_in(request)
        key = (await read_form(request)).get("key", "")
        if not _KEY.fullmatch(key):
            raise _not_a_form()
        request.state.key = key
        return session, key

    def _session_id(self, request: Request) -> str:
        return request.cookies.get(self.cookie, "")

    def _sign_in_page(
        self, request: Request, *, after: str, email: str = "", is_refused: bool = False
    ) -> Response:
        return self.views.page(
            request,
            "sign_in.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK,
            after=after if _OWN_PAGE.fullmatch(after) else "",
            email=email,
            is_refused=is_refused,
            has_ended="ended" in request.query_params,
        )


class _Passed(StreamingResponse):
    """An archive passed through; the API's end is closed however this ends."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive.pieces(), headers=dict(archive.headers))
        self._archive = archive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._archive.close()


async def read_form(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM_TYPE:
        raise of_status(415)
    body = await read_body(request, FORM_BYTES_MAX)
    try:
        text = body.decode("ascii")
        fields = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError:
        raise _not_a_form() from None
    return dict(fields)


def _not_a_form() -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "VALIDATION_FAILED",
        "This form is not one of ours. Nothing was done.",
        next_step="Go back to your privacy page and press the button there.",
    )


def _reference(request: Request) -> str:
    reference = str(request.path_params["reference"])
    if not _REFERENCE.fullmatch(reference):
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "NOT_FOUND",
            "Request not found.",
            next_step="Check the reference and your account.",
        )
    return reference


def _see(path: str) -> Response:
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)

"""What the pages ask of the request API, each time with the person's own token.

Rule 1: an act carries the Idempotency-Key of the form it came from, so repeating it is harmless.
Rule 2: after an act, answers are at least as new as its decision (`Habeas-Position`).
Rule 3: an archive passes through in pieces, never whole.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Literal, TypeVar

import httpx2
from pydantic import BaseModel, Field, ValidationError

from plumbing import telemetry
from plumbing.web import Problem
from services.dashboard.sessions import Session

REQUESTS: Final = "/api/v1/privacy/requests"
DOWNLOADS: Final = "/api/v1/privacy/downloads/"
PAGE_SIZE: Final = 25
# The API waits ten seconds for a decision before it says that it does not know.
_TIMEOUT: Final = httpx2.Timeout(20.0, connect=3.0)
_log = telemetry.get("dashboard")
_M = TypeVar("_M", bound=BaseModel)


class SessionEndedError(Exception):
    """The API does not take the person's token any more."""


class Asked(BaseModel):
    """A request as the API shows it; what pages do not show is not read."""

    reference: str
    type: Literal["export", "erasure"]
    state: str
    phase: str
    outcome: str | None = None
    percent: int = Field(ge=0, le=100)
    waiting_for: str | None = None
    failure: str | None = None
    filed_by: str
    requested_at: datetime
    due_at: datetime
    expires_at: datetime | None = None
    is_removed: bool = False
    grace_ends_at: datetime | None = None


class Happened(BaseModel):
    """One event of a request's timeline."""

    at: datetime
    event: str
    actor_role: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class _One(BaseModel):
    data: Asked


class _Next(BaseModel):
    next: str | None = None


class Listed(BaseModel):
    data: list[Asked]
    page: _Next


class _Timeline(BaseModel):
    data: list[Happened]


class _Decision(BaseModel):
    reference: str
    position: str


class _Decided(BaseModel):
    data: _Decision


class _Link(BaseModel):
    url: str = Field(pattern=rf"^{DOWNLOADS}[0-9A-Za-z_-]+$")


class _Granted(BaseModel):
    data: _Link


class _ProblemBody(BaseModel):
    code: str
    message: str
    next_step: str = ""
    instance: str = ""


class Archive:
    """A finished archive on its way; whoever got it closes it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer
        self.headers: Mapping[str, str] = {
            name: answer.headers[name] for name in _PASSED_ON if name in answer.headers
        }

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.aiter_raw():
                yield piece
        except httpx2.HTTPError as error:
            # What was promised by Content-Length does not come: the browser says so.
            _log.warning("download_broke_off", error=error)
            raise

    async def close(self) -> None:
        await self._answer.aclose()


_PASSED_ON: Final = ("content-type", "content-length", "content-disposition", "repr-digest")


class RequestApi:
    def __init__(self, url: str) -> None:
        # No proxy from the environment: tokens and archives go to the API and nowhere else.
        self._client = httpx2.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False)
        # Archives go by connections of their own: slow downloads keep no page waiting.
        self._archives = httpx2.AsyncClient(
            base_url=url, timeout=_TIMEOUT, trust_env=False, limits=httpx2.Limits()
        )

    async def listed(self, session: Session, after: str) -> Listed:
        params = {"limit": str(PAGE_SIZE)} | ({"after": after} if after else {})
        return await self._look(Listed, session, REQUESTS, params)

    async def show(self, session: Session, reference: str) -> Asked:
        return (await self._look(_One, session, f"{REQUESTS}/{reference}")).data

    async def timeline(self, session: Session, reference: str) -> list[Happened]:
        return (await self._look(_Timeline, session, f"{REQUESTS}/{reference}/timeline")).data

    async def file(self, session: Session, kind: Literal["export", "erasure"], key: str) -> str:
        """File for the person themselves; the reference of the request."""
        answer = await self._act(session, REQUESTS, key, {"type": kind})
        return self._decided(session, answer)

    async def cancel(self, session: Session, reference: str, key: str) -> None:
        self._decided(session, await self._act(session, f"{REQUESTS}/{reference}/cancel", key))

    async def archive(self, session: Session, reference: str, key: str) -> Archive:
        granted = await self._act(session, f"{REQUESTS}/{reference}/downloads", key)
        # Byte for byte: nothing on the way may pack what is packed and sealed already.
        link = _read(_Granted, granted).data.url
        asked = self._archives.build_request("GET", link, headers={"Accept-Encoding": "identity"})
        answer = await _sent(self._archives, asked, stream=True)
        if answer.status_code != HTTPStatus.OK:
            try:
                await answer.aread()
            except httpx2.HTTPError as error:
                raise _unavailable(error) from None
            finally:
                await answer.aclose()
            raise _problem(answer)
        return Archive(answer)

    async def close(self) -> None:
        await self._client.aclose()
        await self._archives.aclose()

    async def _look(
        self, model: type[_M], session: Session, path: str, params: Mapping[str, str] | None = None
    ) -> _M:
        headers = _bearer(session)
        if session.position:
            headers["Habeas-Position"] = session.position
        asked = self._client.build_request("GET", path, params=params, headers=headers)
        return _read(model, _succeeded(await _sent(self._client, asked)))

    async def _act(
        self, session: Session, path: str, key: str, body: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        headers = _bearer(session) | {"Idempotency-Key": key}
        asked = self._client.build_request("POST", path, json=body, headers=headers)
        return _succeeded(await _sent(self._client, asked))

    @staticmethod
    def _decided(session: Session, answer: httpx2.Response) -> str:
        decision = _read(_Decided, answer).data
        session.position = decision.position
        return decision.reference


async def _sent(
    client: httpx2.AsyncClient, asked: httpx2.Request, *, stream: bool = False
) -> httpx2.Response:
    try:
        return await client.send(asked, stream=stream)
    except httpx2.HTTPError as error:
        raise _unavailable(error) from None


def _bearer(session: Session) -> dict[str, str]:
    return {"Authorization": f"Bearer {session.token.reveal()}"}


def _succeeded(answer: httpx2.Response) -> httpx2.Response:
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        raise SessionEndedError
    if not answer.is_success:
        raise _problem(answer)
    return answer


def _problem(answer: httpx2.Response) -> Problem:
    """The API's own refusal, or that we do not understand it."""
    try:
        body = _ProblemBody.model_validate_json(answer.content)
    except ValidationError:
        return _unreadable(answer)
    kept = {name: answer.headers[name] for name in ("retry-after",) if name in answer.headers}
    return Problem(
        answer.status_code,
        body.code,
        body.message,
        next_step=body.next_step,
        headers=kept,
        members={"occurrence": body.instance.rpartition(":")[2]},
    )


def _read(model: type[_M], answer: httpx2.Response) -> _M:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        raise _unreadable(answer) from None


def _unreadable(answer: httpx2.Response) -> Problem:
    _log.error("request_api_unreadable", status=answer.status_code)
    return _down()


def _unavailable(error: httpx2.HTTPError) -> Problem:
    _log.warning("request_api_unavailable", error=error)
    return _down()


def _down() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "UNAVAILABLE",
        "The privacy service does not answer at the moment.",
        next_step="Try again in a few seconds.",
        headers={"Retry-After": "5"},
    )

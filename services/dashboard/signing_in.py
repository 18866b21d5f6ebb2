"""An address and a password in, an access token out.

This is the embedded stack's way: the page's form is exchanged for a token at the issuer's token
endpoint (`grant_type=password`, RFC 6749, 4.3), which is found by OpenID Connect discovery. Where
people have a provider of their own, the browser goes there itself, and no password comes by here.

It counts no attempts: that is the issuer's, which sees all of them.
"""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final, TypeVar

import httpx2
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.config import Secret
from plumbing.web import Caller, Issuer, IssuerUnavailable, Problem, TokenRefused, TokenVerifier

AUDIENCE: Final = "habeas"
_TIMEOUT_S: Final = 5.0
_log = telemetry.get("dashboard")
_M = TypeVar("_M", bound=BaseModel)


class SignInRefusedError(Exception):
    """Address and password do not belong together; which of them is wrong, nobody learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    token: Secret
    lifetime: timedelta
    caller: Caller


class _Discovery(BaseModel):
    issuer: str
    token_endpoint: str


class _Token(BaseModel):
    access_token: str
    expires_in: int = Field(gt=0)


class _Refusal(BaseModel):
    error: str


class SignIn:
    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self._verifier = TokenVerifier(Issuer(url=issuer, audience=AUDIENCE), clock)

    async def exchange(self, email: str, password: str) -> Granted:
        """Prove who somebody is.

        Raises:
            SignInRefusedError: not proved.
            Problem: not to be decided now.
        """
        if not email or not password:
            raise SignInRefusedError
        form = {"grant_type": "password", "username": email, "password": password}
        try:
            endpoint = await self._token_endpoint()
            answer = await self._client.post(endpoint, data=form)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            _log.warning("issuer_unavailable", error=error)
            raise _unavailable() from None
        if answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}:
            refusal = _read(_Refusal, answer)
            if refusal.error == "invalid_grant":
                raise SignInRefusedError
        if answer.status_code != HTTPStatus.OK:
            _log.error("issuer_refused_us", status=answer.status_code)
            raise _unavailable()
        token = _read(_Token, answer)
        return Granted(
            token=Secret(token.access_token),
            lifetime=timedelta(seconds=token.expires_in),
            caller=await self._caller(token.access_token),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _token_endpoint(self) -> str:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        answer = await self._client.get(url)
        answer.raise_for_status()
        found = _read(_Discovery, answer)
        # OpenID Connect Discovery 1.0, 4.3: the document must name the issuer it was asked of.
        if found.issuer != self._issuer:
            _log.error("issuer_is_another")
            raise _unavailable()
        return found.token_endpoint

    async def _caller(self, token: str) -> Caller:
        try:
            # In a thread, because it may fetch the issuer's keys.
            return await run_in_threadpool(self._verifier.verify, token)
        except TokenRefused as refused:
            _log.error("token_refused", reason_code=refused.code)
        except IssuerUnavailable:
            pass
        raise _unavailable()


def _read(model: type[_M], answer: httpx2.Response) -> _M:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        _log.error("issuer_unreadable", status=answer.status_code)
        raise _unavailable() from None


def _unavailable() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "SIGN_IN_UNAVAILABLE",
        "You cannot be signed in at the moment.",
        next_step="Try again in a few seconds.",
        headers={"Retry-After": "5"},
    )

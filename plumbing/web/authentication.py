"""Who may call an operation, and the bearer header that says who calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from plumbing import telemetry
from plumbing.web.problems import Problem
from plumbing.web.tokens import Caller, IssuerUnavailable, TokenRefused, TokenVerifier

Authenticator = Callable[[Request], Awaitable[Caller]]
_log = telemetry.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Callers must hold all of `scopes` and, if any are named, one of `roles`.

    `Auth()` lets everyone in who can prove who they are.
    """

    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    def check(self, caller: Caller) -> None:
        if not self.scopes <= caller.scopes or (self.roles and not self.roles & caller.roles):
            raise Problem(403, "FORBIDDEN", "You may not do this.")


def bearer(verifier: TokenVerifier) -> Authenticator:
    """Authenticate by the Authorization header (RFC 6750)."""

    async def authenticate(request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthenticated("Bearer")
        try:
            # In a thread, because it may fetch the issuer's keys.
            return await run_in_threadpool(verifier.verify, token.strip())
        except TokenRefused as refused:
            _log.info("token_refused", reason_code=refused.code)
            raise _unauthenticated('Bearer error="invalid_token"') from None
        except IssuerUnavailable:
            raise Problem(
                503,
                "UNAVAILABLE",
                "Sign-in cannot be checked at the moment.",
                next_step="Try again in a few seconds.",
                headers={"Retry-After": "5"},
            ) from None

    return authenticate


def _unauthenticated(challenge: str) -> Problem:
    return Problem(
        401,
        "AUTHENTICATION_FAILED",
        "Authentication failed.",
        next_step="Sign in again and repeat the request with a fresh access token.",
        headers={"WWW-Authenticate": challenge},
    )

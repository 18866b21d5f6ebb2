"""Which service calls: one bearer token each, compared in constant time.

It says who calls, not what they may do: that stands in the table of operations and in the permits.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from plumbing.vault import MAY_CALL
from plumbing.web import Caller, Problem

SERVICES: Final = frozenset[str]().union(*MAY_CALL.values())
_TOKEN_CHARACTERS_MIN: Final = 16


class ServiceTokens:
    """An `Authenticator` of plumbing.web."""

    def __init__(self, text: str) -> None:
        self._digests = {service: _digest(token) for service, token in parse(text).items()}

    async def __call__(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        service = self.service_of(token.strip()) if scheme.lower() == "bearer" else None
        if service is None:
            raise Problem(
                401,
                "AUTHENTICATION_FAILED",
                "Authentication failed.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Caller(
            subject=service,
            tenant=None,
            roles=frozenset({service}),
            scopes=frozenset(),
            auth_time=None,
        )

    def service_of(self, token: str) -> str | None:
        """The service whose token this is. All are compared, so that time tells nothing."""
        digest = _digest(token)
        matches = [
            service
            for service, known in self._digests.items()
            if hmac.compare_digest(known, digest)
        ]
        return matches[0] if matches else None


def parse(text: str) -> Mapping[str, str]:
    """Service to token, out of "service:token,service:token".

    Raises:
        ValueError: It is not of that form; names a service at most, never a token.
    """
    tokens: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        service, _, token = part.partition(":")
        if service not in SERVICES:
            raise ValueError("a token is for a service that calls the keyring")
        if service in tokens or token in tokens.values():
            raise ValueError(f"{service} shares its token or has two")
        if len(token) < _TOKEN_CHARACTERS_MIN:
            raise ValueError(f"the token of {service} is shorter than {_TOKEN_CHARACTERS_MIN}")
        tokens[service] = token
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()

"""A real issuer of tokens on a real port, whose key and clock a test may turn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from plumbing.clock import ManualClock
from plumbing.web import Issuer, TokenVerifier, WebServer

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
SigningKey = ECKey | RSAKey | OKPKey
ALGORITHMS = {"EC": "ES256", "RSA": "RS256", "OKP": "Ed25519"}


def new_key() -> ECKey:
    """A curve's key, because it takes no time to make."""
    return ECKey.generate_key("P-256", auto_kid=True)


class DemoIssuer:
    """Publishes one key; counts how often it is asked for it; can be down."""

    def __init__(self, url: str) -> None:
        self.key: SigningKey = new_key()
        self.url = url
        self.fetches = 0
        self.down = False
        self.extra_keys: list[dict[str, Any]] = []

    def rotate(self) -> None:
        self.key = new_key()

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(NOW.timestamp())
        claims = {
            "iss": self.url,
            "aud": "habeas",
            "sub": "person-ines",
            "tenant": "acme",
            "roles": ["member"],
            "scope": "requests:read requests:file",
            "iat": now,
            "exp": now + 300,
            "auth_time": now - 60,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, key: SigningKey | None = None, **changes: Any) -> str:
        key = key or self.key
        algorithm = ALGORITHMS[key.key_type]
        header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, self.claims(**changes), key, algorithms=[algorithm])

    def discovery(self) -> Response:
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"})

    def jwks(self) -> Response:
        self.fetches += 1
        if self.down:
            return Response(status_code=503)
        return JSONResponse({"keys": [*self.extra_keys, self.key.as_dict(private=False)]})


@pytest.fixture(scope="session")
def issuers() -> Iterator[dict[str, Any]]:
    """One server for all tests; `current` is the issuer that answers on it."""
    issuers: dict[str, Any] = {}

    def discovery(_request: Request) -> Response:
        return issuers["current"].discovery()  # type: ignore[no-any-return]

    def jwks(_request: Request) -> Response:
        return issuers["current"].jwks()  # type: ignore[no-any-return]

    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/jwks", jwks),
        ]
    )
    with WebServer(app, "127.0.0.1", 0) as server:
        issuers["url"] = server.url
        yield issuers


@pytest.fixture
def issuer(issuers: dict[str, Any]) -> DemoIssuer:
    current = DemoIssuer(issuers["url"])
    issuers["current"] = current
    return current


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def verifier(issuer: DemoIssuer, clock: ManualClock) -> TokenVerifier:
    return TokenVerifier(Issuer(url=issuer.url, audience="habeas"), clock)

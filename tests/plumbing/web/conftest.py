"""A real issuer of tokens on a real port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plumbing.clock import ManualClock
from plumbing.web import Issuer, TokenVerifier, WebServer
from tests.plumbing.web.issuing import NOW, DemoIssuer


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

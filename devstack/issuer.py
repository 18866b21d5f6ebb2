"""A small OpenID Connect issuer for people and services that are listed in a file.

`python -m devstack.issuer --port … --folder … --people …`. It signs real tokens (RS256, a key of its
own, published as a JWKS) for two grants, `password` and `client_credentials`, so that everything that
checks a token in a development stack checks it as it will in production. It is no login page and has
no sessions; production brings its own issuer.

The people file:

    people:
      - {username: ada, password: …, sub: person-1, tenant: acme, roles: [member]}
    services:
      - {client_id: journal, secret: …, tenant: acme, roles: [service]}

A username may stand there once per tenant; the form field `tenant` then says which one signs in.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
import http.client
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import uvicorn
import yaml
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.launcher import HOST, Process
from plumbing.clock import Clock, SystemClock

AUDIENCE = "habeas"
ALGORITHM = "RS256"
LIFETIME_SECONDS = 3600
INVENTED_PEOPLE = Path(__file__).with_name("people.yaml")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def url(port: int) -> str:
    return f"http://{HOST}:{port}"


def process(*, port: int, folder: Path, people: Path, root: Path) -> Process:
    options = ("--port", str(port), "--folder", str(folder), "--people", str(people))
    return Process(
        name="issuer",
        argv=(sys.executable, "-m", "devstack.issuer", *options),
        ready=lambda: published_keys(port) > 0,
        ports=(port,),
        stop_within=5,
        folder=root,
    )


def published_keys(port: int) -> int:
    """How many keys the issuer on this port publishes (0: it does not answer)."""
    asked = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        asked.request("GET", "/jwks")
        answer = asked.getresponse()
        return len(json.load(answer)["keys"]) if answer.status == 200 else 0
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return 0
    finally:
        asked.close()


class _RefusedError(Exception):
    """An answer in the words of RFC 6749, section 5.2."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Register:
    """Who may sign in."""

    people: tuple[Mapping[str, Any], ...]
    services: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, file: Path) -> Register:
        text = yaml.safe_load(file.read_text(encoding="utf-8"))
        return cls(tuple(text.get("people") or ()), tuple(text.get("services") or ()))

    def person(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        for entry in self.people:
            same_name = entry["username"] == form.get("username")
            same_tenant = form.get("tenant", entry["tenant"]) == entry["tenant"]
            if same_name and same_tenant and _same(entry["password"], form.get("password", "")):
                return entry
        raise _RefusedError("invalid_grant")

    def service(self, name: str, secret: str) -> Mapping[str, Any]:
        for entry in self.services:
            if entry["client_id"] == name and _same(entry["secret"], secret):
                return entry
        raise _RefusedError("invalid_client", 401)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    url: str
    key: RSAKey
    register: Register
    clock: Clock

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks",
                "token_endpoint": f"{self.url}/token",
                "grant_types_supported": ["password", "client_credentials"],
                "response_types_supported": [],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                ],
            }
        )

    async def _keys(self, _request: Request) -> Response:
        public = self.key.as_dict(private=False)
        return JSONResponse({"keys": [{**public, "use": "sig", "alg": ALGORITHM}]})

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            claims = self._claims(form, request.headers.get("authorization", ""))
        except _RefusedError as refused:
            return JSONResponse({"error": refused.code}, refused.status, _NO_STORE)
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self.key.kid}
        return JSONResponse(
            {
                "access_token": jwt.encode(header, claims, self.key),
                "token_type": "Bearer",
                "expires_in": LIFETIME_SECONDS,
            },
            headers=_NO_STORE,
        )

    def _claims(self, form: Mapping[str, str], authorization: str) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        common = {
            "iss": self.url,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        match form.get("grant_type"):
            case "password":
                person = self.register.person(form)
                return common | {
                    "sub": person["sub"],
                    "tenant": person["tenant"],
                    "roles": person["roles"],
                    "auth_time": now,
                }
            case "client_credentials":
                name, secret = _client(form, authorization)
                service = self.register.service(name, secret)
                claims = common | {"sub": name, "client_id": name, "roles": service["roles"]}
                return claims | ({"tenant": service["tenant"]} if "tenant" in service else {})
            case _:
                raise _RefusedError("unsupported_grant_type")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _client(form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    """The client's name and secret, from the header (RFC 6749, 2.3.1) or from the form."""
    scheme, _, pair = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _RefusedError("invalid_client", 401) from error
    return unquote_plus(name), unquote_plus(secret)


def signing_key(folder: Path) -> RSAKey:
    """The key in the folder, made at the first start."""
    file = folder / "key.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        key = RSAKey.generate_key(2048, auto_kid=True)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w", encoding="ascii") as new:
            json.dump(key.as_dict(private=True), new)
    return RSAKey.import_key(json.loads(file.read_text("ascii")))


def main() -> None:
    arguments = argparse.ArgumentParser(description="The development stack's OpenID issuer.")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--people", type=Path, required=True)
    given = arguments.parse_args()
    issuer = Issuer(
        url=url(given.port),
        key=signing_key(given.folder),
        register=Register.read(given.people),
        clock=SystemClock(),
    )
    # No access log: addresses and names of people do not belong in it.
    uvicorn.run(
        issuer.application(), host=HOST, port=given.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()

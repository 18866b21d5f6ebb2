"""An issuer of tokens whose key and clock a test may turn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.responses import JSONResponse, Response

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

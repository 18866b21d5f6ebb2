"""Access tokens: who is calling, proved by an issuer's signature (the RFC 9068 profile of OIDC).

Rule 1: asymmetric algorithms only, and the issuer's own keys only.
Rule 2: keys are kept for ten minutes; an unknown key id asks the issuer once more, but not more
often than every five seconds whatever strangers send.
Rule 3: a refusal never says why to the caller; the log has the reason as a code.

It decides nothing about what the caller may do.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, OctKey

from plumbing import telemetry
from plumbing.clock import Clock

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
_KEYS_LIVE: Final = timedelta(minutes=10)
_REFETCH_EVERY: Final = timedelta(seconds=5)
_TOKEN_CHARACTERS_MAX: Final = 8192
_log = telemetry.get(__name__)


class TokenRefused(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The token proves nothing. `code` is for the log, not for the caller."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class IssuerUnavailable(Exception):  # noqa: N818
    """The issuer's keys could not be had; nothing is known of the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: a person or a service of a tenant, or a service of several (`tenant` is None).

    `subject` is the issuer's stable id. `auth_time` is when the person last proved to be there, for
    acts that want it recent; services have none.
    """

    subject: str
    tenant: str | None
    roles: frozenset[str]
    scopes: frozenset[str]
    auth_time: datetime | None
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """`jwks_url` only where the keys are not to be found through the issuer's own discovery."""

    url: str
    audience: str
    jwks_url: str = ""
    leeway: timedelta = timedelta(seconds=30)
    timeout: timedelta = timedelta(seconds=3)


class TokenVerifier:
    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys = _Keys(issuer, clock)

    def verify(self, token: str) -> Caller:
        """The caller that the token proves. Blocks while keys are fetched.

        Raises:
            TokenRefused: it proves nothing.
            IssuerUnavailable: not to be decided now.
        """
        algorithm, kid = _header(token)
        key = self._keys.find(kid, algorithm)
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
            self._claims_registry().validate(claims)
        except (JoseError, ValueError) as error:
            raise TokenRefused(_reason(error)) from None
        return _caller(claims)

    def _claims_registry(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=int(self._issuer.leeway.total_seconds()),
            iss={"essential": True, "value": self._issuer.url},
            aud={"essential": True, "value": self._issuer.audience},
            exp={"essential": True},
            sub={"essential": True},
        )


class _Keys:
    """The issuer's keys as last fetched. One thread fetches, the others wait for it."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = timedelta(0)
        self._asked_again_at: timedelta | None = None

    def find(self, kid: str, algorithm: str) -> Key:
        with self._lock:
            now = self._clock.boot_time()
            if self._keys is None or now - self._fetched_at >= _KEYS_LIVE:
                self._fetch(now)
            key = self._known(kid, algorithm)
            if key is None and self._may_ask_again(now):
                self._asked_again_at = now
                self._fetch(now)
                key = self._known(kid, algorithm)
        if key is None:
            raise TokenRefused("KEY_UNKNOWN")
        return key

    def _known(self, kid: str, algorithm: str) -> Key | None:
        if self._keys is None:
            return None
        try:
            key = self._keys.get_by_kid(kid, {"alg": algorithm, "use": "sig"})
        except JoseError:
            return None
        return None if isinstance(key, OctKey) else key

    def _may_ask_again(self, now: timedelta) -> bool:
        return self._asked_again_at is None or now - self._asked_again_at >= _REFETCH_EVERY

    def _fetch(self, now: timedelta) -> None:
        try:
            with httpx2.Client(timeout=self._issuer.timeout.total_seconds()) as client:
                url = self._issuer.jwks_url or _discovered(client, self._issuer.url)
                self._keys = KeySet.import_key_set(_json(client, url))  # type: ignore[arg-type]
        except (
            httpx2.HTTPError,
            httpx2.InvalidURL,
            JoseError,
            ValueError,
            TypeError,
            KeyError,
        ) as error:
            _log.warning("issuer_unavailable", error=error)
            raise IssuerUnavailable from error
        self._fetched_at = now


def _discovered(client: httpx2.Client, issuer_url: str) -> str:
    # OpenID Connect Discovery 1.0, 4.3: the document must name the issuer it was asked of.
    document = _json(client, f"{issuer_url.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer_url:
        raise ValueError("the discovery document is another issuer's")
    return str(document["jwks_uri"])


def _json(client: httpx2.Client, url: str) -> dict[str, Any]:
    document = client.get(url).raise_for_status().json()
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return document


def _header(token: str) -> tuple[str, str]:
    """Algorithm and key id, read before anything is proved: they only choose what to prove with."""
    if len(token) > _TOKEN_CHARACTERS_MAX:
        raise TokenRefused("TOO_LONG")
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError):
        raise TokenRefused("UNREADABLE") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused("ALGORITHM")
    if not isinstance(kid, str):
        raise TokenRefused("KEY_UNKNOWN")
    return algorithm, kid


def _reason(error: Exception) -> str:
    code = error.error if isinstance(error, JoseError) else "unreadable"
    claim = getattr(error, "claim", "")
    return f"{code}.{claim}".rstrip(".").upper()


def _caller(claims: Mapping[str, Any]) -> Caller:
    tenant, auth_time = claims.get("tenant"), claims.get("auth_time")
    client_id, scope = claims.get("client_id"), claims.get("scope", "")
    roles = claims.get("roles", [])
    if not isinstance(tenant, str | None) or not isinstance(client_id, str | None):
        raise TokenRefused("INVALID_CLAIM")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenRefused("INVALID_CLAIM.ROLES")
    if not isinstance(scope, str) or not isinstance(auth_time, int | None):
        raise TokenRefused("INVALID_CLAIM")
    try:
        proved_at = None if auth_time is None else datetime.fromtimestamp(auth_time, UTC)
    except (OverflowError, ValueError, OSError):
        raise TokenRefused("INVALID_CLAIM.AUTH_TIME") from None
    return Caller(
        subject=claims["sub"],
        tenant=tenant,
        roles=frozenset(roles),
        scopes=frozenset(scope.split()),
        auth_time=proved_at,
        client_id=client_id,
    )

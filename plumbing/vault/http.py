"""The keyring's vault as its callers reach it: over HTTP, with a bearer token and short patience.

It keeps nothing: what was opened is the caller's to forget when the lease is over.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx2
import orjson

from plumbing.config import Secret
from plumbing.vault.protocol import (
    At,
    Field,
    Identity,
    Opened,
    Put,
    RequestKey,
    VaultRefused,
    VaultUnavailable,
)

_T = TypeVar("_T")
_CONNECT_S: Final = 1.0
# The keyring itself waits up to two seconds for the log, and as long for its database.
_ANSWER_S: Final = 6.0
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400
# What plumbing.web says by itself, in the vault's words.
_CODES: Final = {
    "AUTHENTICATION_FAILED": "NOT_ALLOWED",
    "FORBIDDEN": "NOT_ALLOWED",
    "BODY_TOO_LARGE": "VALIDATION_FAILED",
    "MEDIA_TYPE_UNSUPPORTED": "VALIDATION_FAILED",
    "METHOD_NOT_ALLOWED": "VALIDATION_FAILED",
}


class HttpVault:
    """A `Vault`. Close it when done; calls that time out may have been carried out all the same."""

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        connect_s: float = _CONNECT_S,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._client = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token.reveal()}"},
            timeout=httpx2.Timeout(answer_s, connect=connect_s),
            # Neither proxies nor credentials from the environment: keys travel here.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def put(self, identity: Identity, fields: Mapping[str, Field], put_id: str) -> Put:
        answer = self._post(
            "/put",
            tenant=identity.tenant,
            stable_id=identity.stable_id,
            email=identity.email,
            fields=_wire(fields),
            put_id=put_id,
        )
        return _read(lambda: Put(answer["subject_ref"], dict(answer["vault_ids"])))

    def put_for(
        self,
        subject_ref: str,
        request_id: str,
        fields: Mapping[str, Field],
        put_id: str,
        *,
        order_id: str,
    ) -> Mapping[str, str]:
        answer = self._post(
            "/put_for",
            subject_ref=subject_ref,
            request_id=request_id,
            fields=_wire(fields),
            put_id=put_id,
            order_id=order_id,
        )
        return _read(lambda: dict(answer["vault_ids"]))

    def find(
        self, tenant: str, stable_id: str | None = None, *, email: str | None = None
    ) -> str | None:
        answer = self._post("/find", tenant=tenant, stable_id=stable_id, email=email)
        return _read(lambda: None if answer["subject_ref"] is None else str(answer["subject_ref"]))

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        answer = self._post("/unseal", sealed=base64.b64encode(sealed).decode("ascii"))
        return _read(lambda: dict(answer["value"]))

    def open(self, *, order_id: str | None = None, grant_id: str | None = None, at: At) -> Opened:
        partition, seq = at
        answer = self._post(
            "/open", order_id=order_id, grant_id=grant_id, partition=partition, seq=seq
        )
        return _read(
            lambda: Opened(
                fields=dict(answer["fields"]),
                keys={name: _key(key) for name, key in answer["keys"].items()},
                lease=timedelta(seconds=answer["lease_s"]),
            )
        )

    def public_key(self) -> str:
        answer = self._call("GET", "/public-key")
        return _read(lambda: str(answer["public_key"]))

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._call("POST", path, orjson.dumps(body))

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = self._client.request(method, path, content=body, headers=headers)
        except httpx2.TimeoutException as error:
            raise VaultUnavailable("TIMED_OUT") from error
        except httpx2.TransportError as error:
            raise VaultUnavailable("UNREACHABLE") from error
        answer = _object(response.content)
        if response.status_code >= _SERVER_ERROR:
            raise VaultUnavailable(str(answer.get("code", "UNAVAILABLE")))
        if response.status_code >= _CLIENT_ERROR:
            code = str(answer.get("code", "VALIDATION_FAILED"))
            raise VaultRefused(_CODES.get(code, code))
        return answer


def _wire(fields: Mapping[str, Field]) -> dict[str, dict[str, Any]]:
    return {
        name: {"purpose": str(field.purpose), "value": dict(field.value)}
        for name, field in fields.items()
    }


def _key(wire: Mapping[str, str]) -> RequestKey:
    return RequestKey(bytes.fromhex(wire["key_id"]), bytes.fromhex(wire["key"]))


def _object(content: bytes) -> dict[str, Any]:
    """The answer's object; whoever answers anything else is not the keyring."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        # From here on the call failed; what it did, if anything, is not known.
        raise VaultUnavailable
    return value


def _read(reader: Callable[[], _T]) -> _T:
    try:
        return reader()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VaultUnavailable from error

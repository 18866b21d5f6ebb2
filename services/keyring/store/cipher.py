"""Wrapping and sealing: every key and every row tied to its place in the database.

Keys are held no longer than a call. A wrapped key names the key that wraps it, so that a
key-encryption key can be turned over later without reading a single row.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from plumbing.vault import RequestKey
from proofs import envelope, keys

Entropy = Callable[[int], bytes]

EPOCH: Final = 1
KEY_BYTES: Final = 32
_ROW_FORMAT: Final = b"habeas-vault/1"


class Kek:
    """The key-encryption key of an epoch. Wraps peppers and subject keys, and nothing else."""

    def __init__(self, key: bytes, *, entropy: Entropy = os.urandom) -> None:
        self._key = key
        self.entropy = entropy
        self.fingerprint = keys.fingerprint(key)

    def wrap(self, key: bytes, kind: str, row_id: str, purpose: str) -> bytes:
        aad = keys.row_context(kind, row_id=row_id, purpose=purpose, epoch=str(EPOCH))
        return keys.wrap(self._key, key, aad, entropy=self.entropy)

    def unwrap(self, wrapped: bytes, kind: str, row_id: str, purpose: str) -> bytes:
        """Raises Tampered if this is not what `wrap` made for this row."""
        aad = keys.row_context(kind, row_id=row_id, purpose=purpose, epoch=str(EPOCH))
        return keys.unwrap(self._key, wrapped, aad)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A subject's or a request's key, unwrapped; `is_dying` opens nothing any more."""

    key_id: bytes
    key: bytes = field(repr=False)
    is_dying: bool = False

    def as_request_key(self) -> RequestKey:
        return RequestKey(self.key_id, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row lies: what its ciphertext is bound to."""

    tenant: str
    subject_ref: str
    request_id: str | None
    purpose: str
    name: str
    vault_id: str

    def context(self) -> bytes:
        return envelope.context(
            "vault",
            tenant=self.tenant,
            subject_ref=self.subject_ref.encode(),
            request_id=self.request_id or "",
            source="",
            section=f"{self.purpose}/{self.name}",
            run_id=self.vault_id,
            chunk_index=0,
            last=True,
            schema_fingerprint=_ROW_FORMAT,
        )


def seal_row(held: HeldKey, place: Place, value: Any, *, entropy: Entropy) -> bytes:
    plaintext = orjson.dumps(value)
    return envelope.seal(held.key, held.key_id, plaintext, place.context(), entropy=entropy)


def open_row(held: HeldKey, place: Place, ciphertext: bytes) -> dict[str, Any]:
    """Raises Tampered if the row was altered or stands elsewhere than where it was put."""
    value: dict[str, Any] = orjson.loads(
        envelope.open_sealed(held.key, ciphertext, place.context())
    )
    return value


def wrap_request_key(content: HeldKey, key: bytes, row_id: str, *, entropy: Entropy) -> bytes:
    return keys.wrap(content.key, key, _request_key_context(content, row_id), entropy=entropy)


def unwrap_request_key(content: HeldKey, wrapped: bytes, row_id: str) -> bytes:
    return keys.unwrap(content.key, wrapped, _request_key_context(content, row_id))


def _request_key_context(content: HeldKey, row_id: str) -> bytes:
    return keys.row_context("request_key", row_id=row_id, purpose="content", epoch=content.key_id)


def fingerprint_of(key_id: bytes) -> str:
    """What the log may say of a destroyed key: which one it was, and nothing about the key."""
    return hashlib.sha256(key_id).digest()[:16].hex()

"""Keys: Ed25519 pairs, the wrapping of one key by another, and keyed commitments.

Other rooms hold `SigningKey` and `VerifyKey` and never a class of the library below.
Python cannot promise to wipe a key from memory; who holds one keeps it as short as a lease.
"""

import hashlib
import hmac
import os
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
)

from proofs.chunked import Entropy
from proofs.failures import BadSignature, Malformed, Tampered
from proofs.framing import Field, Octets, prefixed32

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
WRAPPING_OVERHEAD_BYTES: Final = 12 + 16
"""What `wrap` adds: a nonce and a tag."""

_NONCE_BYTES: Final = 12
_OPENSSH_PEM: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"


class VerifyKey:
    """The public half of an Ed25519 pair (RFC 8032); equal if its 32 `raw` bytes are."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != PUBLIC_KEY_BYTES:
            raise Malformed("public-key")
        self.raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read a `BEGIN PUBLIC KEY` block.

        Raises:
            Malformed: It is none, or not of Ed25519.

        """
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise Malformed("pem") from None
        if not isinstance(key, Ed25519PublicKey):
            raise Malformed("not-ed25519")
        return cls(key.public_bytes_raw())

    def pem(self) -> bytes:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if the 64-byte signature is this key's over the message.

        Raises:
            BadSignature: It is not.

        """
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise BadSignature("signature") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifyKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"VerifyKey({self.raw.hex()})"


class SigningKey:
    """An Ed25519 pair. Its `repr` shows the public half only."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Malformed("seed")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, *, entropy: Entropy = os.urandom) -> Self:
        return cls(entropy(SEED_BYTES))

    @classmethod
    def load(cls, stored: bytes) -> Self:
        """Read a raw 32-byte seed, a PKCS #8 PEM block or an OpenSSH private key, unencrypted.

        Raises:
            Malformed: It is none of these, or not of Ed25519.

        """
        if not stored.startswith(b"-----BEGIN "):
            return cls(stored)
        is_openssh = stored.startswith(_OPENSSH_PEM)
        try:
            key = (load_ssh_private_key if is_openssh else load_pem_private_key)(stored, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise Malformed("pem") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise Malformed("not-ed25519")
        return cls(key.private_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over the message; the same message gives the same signature."""
        return self._key.sign(message)

    def seed(self) -> bytes:
        return self._key.private_bytes_raw()

    def pem(self) -> bytes:
        """An unencrypted PKCS #8 block, as `load` and `openssl pkey` read it."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def openssh_pem(self) -> bytes:
        """An unencrypted private key file as `ssh-keygen` reads it."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.raw.hex()})"


def wrap(kek: Octets, key: Octets, aad: bytes, *, entropy: Entropy = os.urandom) -> bytes:
    """Encrypt a key under another: nonce (12) ‖ AES-256-GCM ciphertext ‖ tag (16).

    The nonce is random, so one `kek` wraps at most 2^32 keys (NIST SP 800-38D 8.3); weekly ones
    stay below 2^24. Build `aad` with `row_context`.

    Raises:
        ValueError: The wrapping key has not 32 bytes.

    """
    nonce = entropy(_NONCE_BYTES)
    return nonce + _wrapping(kek).encrypt(nonce, bytes(key), aad)


def unwrap(kek: Octets, wrapped: Octets, aad: bytes) -> bytes:
    """The key that `wrap` encrypted under the same wrapping key and associated data.

    Raises:
        Tampered: It is anything else.
        ValueError: The wrapping key has not 32 bytes.

    """
    octets = bytes(wrapped)
    if len(octets) < WRAPPING_OVERHEAD_BYTES:
        raise Tampered("wrapped-key")
    try:
        return _wrapping(kek).decrypt(octets[:_NONCE_BYTES], octets[_NONCE_BYTES:], aad)
    except InvalidTag:
        raise Tampered("wrapped-key") from None


def row_context(kind: Field, *, row_id: Field, purpose: Field, epoch: Field) -> bytes:
    """Associated data that ties a wrapped key to its row, so that no row can take another's key."""
    fields = (kind, row_id, purpose, epoch)
    return b"habeas/wrap/v1\0" + b"".join(map(prefixed32, fields))


def commit(key: bytes, label: str, *fields: Field) -> bytes:
    """HMAC-SHA256 (32 bytes) over a label and fields, each behind a u32 length.

    Without the key it says nothing about the fields; with it, it can be computed again. The label
    ("habeas/ref/v1", K-6) keeps commitments of different purposes apart.
    """
    framed = label.encode() + b"\0" + b"".join(map(prefixed32, fields))
    return hmac.digest(key, framed, "sha256")


def fingerprint(key: Octets) -> bytes:
    """32 bytes that name a random secret key and do not help to find it.

    Not for anything guessable: use `commit` there.
    """
    return hashlib.sha256(b"habeas/key/v1\0" + bytes(key)).digest()


def _wrapping(kek: Octets) -> AESGCM:
    if len(kek) != 32:  # noqa: PLR2004 - AES-256, and no shorter AES by mistake
        raise ValueError("a wrapping key has 32 bytes")
    return AESGCM(kek)

"""SSH signatures over files, as `ssh-keygen -Y sign` and `-Y verify` make and check them.

Source: PROTOCOL.sshsig of OpenSSH, and ALLOWED SIGNERS in ssh-keygen(1). Files that people hold are
signed like this because the verifier is already on their machine. Ed25519 only.
"""

import hashlib
import struct
from datetime import UTC, datetime
from typing import Final

from proofs.failures import BadSignature, Malformed
from proofs.framing import from_base64, prefixed32, to_base64
from proofs.keys import SigningKey, VerifyKey

NAMESPACE: Final = "habeas-export"
"""Keeps a signature over an export's sums from being passed off as one over anything else."""

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_ALGORITHM: Final = b"ssh-ed25519"
_HASHES: Final = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_LINE_SIGNS: Final = 70


def sign(signer: SigningKey, message: bytes, *, namespace: str = NAMESPACE) -> bytes:
    """The armored signature over a message: the bytes of a `.sig` file.

    Raises:
        ValueError: The namespace is empty.

    """
    if not namespace:
        raise ValueError("a namespace is not empty")
    signature = signer.sign(_signed(namespace.encode(), b"", b"sha512", message))
    blob = (
        _MAGIC
        + struct.pack(">I", _VERSION)
        + prefixed32(_key_blob(signer.public))
        + prefixed32(namespace)
        + prefixed32(b"")
        + prefixed32(b"sha512")
        + prefixed32(prefixed32(_ALGORITHM) + prefixed32(signature))
    )
    body = to_base64(blob)
    lines = [body[start : start + _LINE_SIGNS] for start in range(0, len(body), _LINE_SIGNS)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def verify(armored: bytes, message: bytes, key: VerifyKey, *, namespace: str = NAMESPACE) -> None:
    """Return if the armored signature is this key's over the message, for this namespace.

    Raises:
        Malformed: It is no SSH signature of Ed25519.
        BadSignature: It is another key's, for another namespace, or does not fit the message.

    """
    wire = _Wire(_blob_of(armored))
    if wire.take(len(_MAGIC)) != _MAGIC or wire.number() != _VERSION:
        raise Malformed("sshsig")
    key_blob, signed_namespace, reserved, hash_name, signature = (wire.string() for _ in range(5))
    wire.end()
    if key_blob != _key_blob(key):
        raise BadSignature("key")
    if signed_namespace != namespace.encode():
        raise BadSignature("namespace")
    if hash_name not in _HASHES:
        raise Malformed("hash-algorithm")
    wire = _Wire(signature)
    algorithm, raw = wire.string(), wire.string()
    wire.end()
    if algorithm != _ALGORITHM:
        raise Malformed("signature-algorithm")
    key.verify(_signed(signed_namespace, reserved, hash_name, message), raw)


def public_key_line(key: VerifyKey, comment: str = "") -> str:
    """`ssh-ed25519 AAAA… comment`: what stands in a `.pub` file, without a line end."""
    return f"ssh-ed25519 {to_base64(_key_blob(key))} {comment}".rstrip()


def allowed_signers_line(
    principal: str,
    key: VerifyKey,
    *,
    namespace: str = NAMESPACE,
    valid_before: datetime | None = None,
) -> str:
    """One line, without its end, of the file that `ssh-keygen -Y verify -f` reads.

    `principal` is the signer's address, as given to `-I`; after `valid_before` (whole seconds, UTC)
    the key counts no longer.

    Raises:
        ValueError: The principal holds what ssh-keygen would read as a pattern or a list.

    """
    if not principal or any(sign.isspace() or sign in '*?!,"#' for sign in principal):
        raise ValueError("a principal is one plain name")
    options = f'namespaces="{namespace}"'
    if valid_before is not None:
        options += f',valid-before="{valid_before.astimezone(UTC):%Y%m%d%H%M%SZ}"'
    return f"{principal} {options} {public_key_line(key)}"


def _signed(namespace: bytes, reserved: bytes, hash_name: bytes, message: bytes) -> bytes:
    """Section 3: what is signed is not the message but its digest, in its domain."""
    fields = (namespace, reserved, hash_name, _HASHES[hash_name](message).digest())
    return _MAGIC + b"".join(map(prefixed32, fields))


def _key_blob(key: VerifyKey) -> bytes:
    return prefixed32(_ALGORITHM) + prefixed32(key.raw)


def _blob_of(armored: bytes) -> bytes:
    try:
        lines = armored.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise Malformed("armor") from None
    if len(lines) <= len((_BEGIN, _END)) or lines[0] != _BEGIN or lines[-1] != _END:
        raise Malformed("armor")
    return from_base64("".join(lines[1:-1]))


class _Wire:
    """Reads the numbers and strings of RFC 4251 section 5 off the front of some bytes."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def take(self, count: int) -> bytes:
        taken, self._octets = self._octets[:count], self._octets[count:]
        if len(taken) != count:
            raise Malformed("sshsig")
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def end(self) -> None:
        if self._octets:
            raise Malformed("sshsig")

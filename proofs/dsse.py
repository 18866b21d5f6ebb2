"""DSSE envelopes: signed receipts that machines exchange.

Source: https://github.com/secure-systems-lab/dsse, protocol 1.0.2 and its JSON envelope. The
payload is signed as it lies there, with its type, so nothing is canonicalised; verify first, then
parse exactly the bytes that `verify` returned.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proofs.failures import BadSignature, Malformed
from proofs.framing import to_base64
from proofs.keys import SigningKey, VerifyKey

RECEIPT: Final = "application/vnd.habeas.receipt+json"

_URL_SAFE_TO_STANDARD: Final = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A payload, and the names of the trusted keys that signed it."""

    payload: bytes
    signers: frozenset[str]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: what is signed. Lengths are in bytes, in decimal."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(
    payload: bytes, signers: Sequence[tuple[str, SigningKey]], *, payload_type: str = RECEIPT
) -> bytes:
    """A JSON envelope (UTF-8) of the payload, signed by each (key name, key)."""
    message = pae(payload_type, payload)
    envelope = {
        "payload": to_base64(payload),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": name, "sig": to_base64(signer.sign(message))} for name, signer in signers
        ],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def verify(
    envelope: bytes,
    keys: Mapping[str, VerifyKey],
    *,
    payload_type: str = RECEIPT,
    threshold: int = 1,
) -> Verified:
    """The payload, if at least `threshold` different keys signed it as this type.

    A signature's `keyid` only narrows which keys are tried; without one, all are.

    Raises:
        Malformed: It is no DSSE envelope.
        BadSignature: It is of another type, or too few trusted keys signed it.

    """
    if threshold < 1:
        raise ValueError("at least one signature is wanted")
    claimed_type, payload, signatures = _parts(envelope)
    if claimed_type != payload_type:
        raise BadSignature("payload-type")
    message = pae(payload_type, payload)
    signers = {
        name
        for hint, signature in signatures
        for name, key in keys.items()
        if hint in ("", name) and _is_signed(key, message, signature)
    }
    if len({keys[name] for name in signers}) < threshold:
        raise BadSignature("threshold")
    return Verified(payload=payload, signers=frozenset(signers))


def _is_signed(key: VerifyKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(message, signature)
    except BadSignature:
        return False
    return True


def _parts(envelope: bytes) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    try:
        match json.loads(envelope):
            case {"payload": str(payload), "payloadType": str(kind), "signatures": list(listed)}:
                return kind, _decoded(payload), [_signature_of(entry) for entry in listed]
            case _:
                raise Malformed("dsse")
    except (ValueError, RecursionError):
        raise Malformed("dsse") from None


def _signature_of(entry: object) -> tuple[str, bytes]:
    match entry:
        case {"sig": str(signature), **rest}:
            # Parsing rules: an unset key id is the same as an empty one.
            hint = rest.get("keyid") or ""
            if isinstance(hint, str):
                return hint, _decoded(signature)
    raise Malformed("dsse")


def _decoded(text: str) -> bytes:
    """Either alphabet of base64: verifiers must take both."""
    try:
        return base64.b64decode(text.translate(_URL_SAFE_TO_STANDARD), validate=True)
    except binascii.Error:
        raise Malformed("dsse") from None

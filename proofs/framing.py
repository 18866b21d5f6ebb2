"""Length prefixes and strict base64: how fields become bytes that can be read in one way only."""

import base64
import binascii

from proofs.failures import Malformed

Octets = bytes | bytearray | memoryview
"""What may hold bytes on the way in. Everything on the way out is `bytes`."""

Field = bytes | str
"""A field of a framed message; text counts as its UTF-8 bytes."""


def prefixed16(field: Field) -> bytes:
    """Two bytes of length, big-endian, then the field.

    Raises:
        ValueError: The field is longer than 65 535 bytes.

    """
    octets = _octets(field)
    if len(octets) > 0xFFFF:  # noqa: PLR2004 - what two bytes can count
        raise ValueError("a field has at most 65 535 bytes")
    return len(octets).to_bytes(2, "big") + octets


def prefixed32(field: Field) -> bytes:
    """Four bytes of length, big-endian, then the field (the `string` of RFC 4251)."""
    octets = _octets(field)
    return len(octets).to_bytes(4, "big") + octets


def to_base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def from_base64(text: str) -> bytes:
    """Standard base64 with padding, in its only canonical spelling (RFC 4648 section 4).

    Two spellings of one signature would give one note two hashes, so stray bits are refused.

    Raises:
        Malformed: Anything else.

    """
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("base64") from None
    if to_base64(octets) != text:
        raise Malformed("base64")
    return octets


def _octets(field: Field) -> bytes:
    return field.encode() if isinstance(field, str) else field

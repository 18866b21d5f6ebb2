"""Values to bytes and back: Avro single-object encoding (Avro 1.12, “Single-object encoding”).

Knows which schema wrote which bytes by the fingerprint in front of them; an unknown fingerprint is
`Undecodable`, never a guess.
"""

import hashlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.catalogue import MESSAGES
from schemas.derivation import from_avro, schema_of, to_avro
from schemas.upcasters import upcast

MARKER: Final = b"\xc3\x01"
PREFIX_BYTES: Final = 10
FROZEN: Final = Path(__file__).parent / "frozen"
T = TypeVar("T")


class UndecodableError(Exception):
    """Bytes that no released schema wrote; carries a code, never the bytes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def fingerprint_of(schema: dict[str, Any]) -> bytes:
    """CRC-64-AVRO of the canonical form, little-endian, as the encoding wants it."""
    digits: str = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return bytes.fromhex(digits)


class _Codec:
    """One message's schema, parsed once."""

    def __init__(self, cls: type) -> None:
        schema = schema_of(cls)
        self.cls = cls
        self.parsed = fastavro.parse_schema(schema)
        self.prefix = MARKER + fingerprint_of(schema)
        self.write = to_avro(cls)
        self.read = from_avro(cls)


_CODECS: Final[dict[type, _Codec]] = {}


def _codec(cls: type) -> _Codec:
    codec = _CODECS.get(cls)
    if codec is None:
        codec = _CODECS[cls] = _Codec(cls)
    return codec


@cache
def _by_prefix() -> dict[bytes, tuple[_Codec, Any]]:
    """Every released writer schema, and today's reader for it."""
    known: dict[bytes, tuple[_Codec, Any]] = {}
    for path in sorted(FROZEN.glob("*.avsc")):
        schema = json.loads(path.read_text())
        if cls := MESSAGES.get(schema["name"]):
            known[MARKER + fingerprint_of(schema)] = (_codec(cls), fastavro.parse_schema(schema))
    for cls in MESSAGES.values():
        known[_codec(cls).prefix] = (_codec(cls), None)
    return known


def encode(message: Any) -> bytes:
    """The single-object encoding of a catalogued message."""
    codec = _codec(type(message))
    out = io.BytesIO()
    out.write(codec.prefix)
    fastavro.schemaless_writer(out, codec.parsed, codec.write(message))
    return out.getvalue()


def decode(data: bytes) -> Any:
    """The message that `encode` wrote, now or in any release before.

    Raises:
        UndecodableError: for bytes without a known fingerprint, or that do not fit their schema.
    """
    found = _by_prefix().get(data[:PREFIX_BYTES])
    if found is None:
        raise UndecodableError("UNKNOWN_SCHEMA")
    codec, writer = found
    try:
        return codec.read(_body(codec, writer, data))
    except UndecodableError:
        raise
    except Exception:  # noqa: BLE001 - fastavro raises whatever its reader stumbles over
        # From None: what it says may quote what was sent.
        raise UndecodableError("MALFORMED") from None


def _body(codec: _Codec, writer: Any, data: bytes) -> dict[str, Any]:
    stream = io.BytesIO(data)
    stream.seek(PREFIX_BYTES)
    # A writer schema is resolved against today's only where the two differ: it costs time.
    if writer is None:
        value: Any = fastavro.schemaless_reader(stream, codec.parsed, None)
    else:
        value = fastavro.schemaless_reader(stream, writer, codec.parsed)
    if stream.tell() != len(data):
        raise UndecodableError("TRAILING_BYTES")
    return upcast(codec.cls.__name__, data[2:PREFIX_BYTES], value)


def decode_as(cls: type[T], data: bytes) -> T:
    """Like `decode`, for a caller that accepts one kind of message only."""
    message = decode(data)
    if not isinstance(message, cls):
        raise UndecodableError("WRONG_MESSAGE")
    return message


def decode_beginning(cls: type[T], whole: type, data: bytes) -> T | None:
    """The first fields of a message, those that `whole` inherits from `cls`, at a tenth of the cost.

    None if another release wrote it: then only all of it can be read.
    """
    if not data.startswith(_codec(whole).prefix):
        return None
    codec = _codec(cls)
    stream = io.BytesIO(data)
    stream.seek(PREFIX_BYTES)
    try:
        message: T = codec.read(fastavro.schemaless_reader(stream, codec.parsed, None))
    except Exception:  # noqa: BLE001 - fastavro raises whatever its reader stumbles over
        # From None: what it says may quote what was sent.
        raise UndecodableError("MALFORMED") from None
    return message


def decode_exactly(cls: type[T], data: bytes) -> T:
    """Like `decode_as`, for bytes that only this very release may have written."""
    codec = _codec(cls)
    if not data.startswith(codec.prefix):
        raise UndecodableError("UNKNOWN_SCHEMA")
    try:
        message: T = codec.read(_body(codec, None, data))
    except UndecodableError:
        raise
    except Exception:  # noqa: BLE001 - fastavro raises whatever its reader stumbles over
        # From None: what it says may quote what was sent.
        raise UndecodableError("MALFORMED") from None
    return message


def schemas_sha256() -> bytes:
    """SHA-256 over the fingerprints of all messages; the log's first record names it."""
    names = sorted(MESSAGES)
    return hashlib.sha256(b"".join(_codec(MESSAGES[n]).prefix for n in names)).digest()

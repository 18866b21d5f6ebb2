"""A fragment's plaintext: a header that says what it is, and its payload, compressed.

Knows no keys: sealing is the collector's and opening the bundler's business.
Layout: zstd( u32 header length ‖ header as UTF-8 JSON ‖ payload ).
"""

import struct
from dataclasses import asdict, dataclass, field
from typing import Final

import orjson
import zstandard

FRAGMENT_BYTES_MAX: Final = 512 * 1024
PLAINTEXT_BYTES_MAX: Final = 4 * 1024 * 1024
ROWS: Final = "rows"
FILE: Final = "file"
END: Final = "end"


class BadFragmentError(Exception):
    """A fragment that its own collector cannot have written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentHeader:
    """What a fragment holds.

    rows: JSON lines of `section`, one row a line. file: a piece of file number `file` of `section`,
    `is_last` on its last piece. end: no payload; `records`, `files` and `titles` are per section.
    """

    kind: str
    section: str = ""
    file: int = 0
    file_name: str = ""
    media_type: str = ""
    is_last: bool = False
    records: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)


def pack(header: FragmentHeader, payload: bytes, *, level: int = 1) -> bytes:
    """The compressed plaintext of a fragment."""
    head = orjson.dumps(asdict(header))
    framed = struct.pack(">I", len(head)) + head + payload
    return zstandard.ZstdCompressor(level=level, write_content_size=True).compress(framed)


def unpack(plaintext: bytes) -> tuple[FragmentHeader, bytes]:
    """Header and payload.

    Raises:
        BadFragmentError: not a fragment, or one that would grow beyond the limit when decompressed.
    """
    try:
        size = zstandard.frame_content_size(plaintext)
        if not 0 < size <= PLAINTEXT_BYTES_MAX:
            raise BadFragmentError("size")
        framed = zstandard.ZstdDecompressor().decompress(plaintext)
        (length,) = struct.unpack_from(">I", framed)
        header = FragmentHeader(**orjson.loads(framed[4 : 4 + length]))
    except (zstandard.ZstdError, struct.error, ValueError, TypeError):
        # From None: what they say may quote what is inside.
        raise BadFragmentError("malformed") from None
    return header, framed[4 + length :]

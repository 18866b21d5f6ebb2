"""A picture made of arithmetic, so that the demo has a real photo of nobody."""

import struct
import zlib

WIDTH, HEIGHT = 160, 120
SIGNATURE = b"\x89PNG\r\n\x1a\n"
TRUE_COLOUR_8_BIT = (8, 2, 0, 0, 0)


def sunrise(hue: int) -> bytes:
    """A PNG of a sun over water; `hue` (0 to 255) tells one picture from another."""
    rows = b"".join(b"\x00" + _row(y, hue) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, *TRUE_COLOUR_8_BIT)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _row(y: int, hue: int) -> bytes:
    return bytes(channel for x in range(WIDTH) for channel in _pixel(x, y, hue))


def _pixel(x: int, y: int, hue: int) -> tuple[int, int, int]:
    horizon = HEIGHT * 2 // 3
    if (x - WIDTH // 2) ** 2 + (y - horizon) ** 2 < (HEIGHT // 4) ** 2 and y < horizon:
        return 255, 200 + y // 8, 90
    if y < horizon:
        return (hue + y) % 256, 120 + y, 200
    # Waves: a little light where the columns and rows fall together.
    return 20, 60 + (x * y) % 40, 110 + y


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

"""File-like faces over `chunked`, for whoever wants to read or write a file: zipfile, csv, json.

No file is opened here; each face stands before one that the caller opened and will close.
"""

import io
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, SupportsIndex

from proofs.chunked import Decryptor, Encryptor, Opened
from proofs.framing import Octets

READ_BYTES = 256 * 1024
"""How much ciphertext is asked for at once."""


class Sink(Protocol):
    def write(self, octets: bytes, /) -> object: ...


class EncryptingWriter:
    """Writes plaintext to a file as ciphertext.

    Not an `io.RawIOBase`, on purpose: that one closes itself when it is garbage collected, and so
    would end half a message as if it were whole. Here only `finish`, or leaving a `with` block
    without an exception, ends the message; anything else leaves a ciphertext that does not open.
    """

    def __init__(self, sink: Sink, encryptor: Encryptor) -> None:
        self._sink = sink
        self._encryptor = encryptor

    def write(self, plaintext: Octets) -> int:
        if ciphertext := self._encryptor.update(plaintext):
            self._sink.write(ciphertext)
        return len(plaintext)

    def flush(self) -> None:
        """Do nothing: what waits here is less than a chunk, and must wait."""

    def finish(self) -> None:
        self._sink.write(self._encryptor.finish())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()


class DecryptingReader(io.RawIOBase):
    """Reads plaintext from a file of ciphertext, from front to back.

    `read` is the `read(size)` of that file. The end is reported only once it is authenticated; a
    message that was cut raises `Tampered` there. Wrap it in `io.BufferedReader` for small reads.
    """

    def __init__(self, read: Callable[[int], bytes], decryptor: Decryptor) -> None:
        super().__init__()
        self._read = read
        self._decryptor = decryptor
        self._plaintext = memoryview(b"")
        self._is_at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._plaintext and not self._is_at_end:
            ciphertext = self._read(READ_BYTES)
            self._is_at_end = not ciphertext
            step = self._decryptor.update(ciphertext) if ciphertext else self._decryptor.finish()
            self._plaintext = memoryview(step)
        count = min(len(buffer), len(self._plaintext))
        buffer[:count] = self._plaintext[:count]
        self._plaintext = self._plaintext[count:]
        return count


class RangeReader(io.RawIOBase):
    """Reads an `Opened` as a file that can seek, as zipfile needs it.

    Every read is one range; wrap it in `io.BufferedReader(…, READ_BYTES)` for small reads.
    """

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: SupportsIndex, whence: int = io.SEEK_SET, /) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._opened.size}
        position = origins[whence] + offset.__index__()
        if position < 0:
            raise ValueError("there is nothing before the beginning")
        self._position = position
        return position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = min(self._position, self._opened.size)
        plaintext = self._opened.read(start, min(start + len(buffer), self._opened.size))
        buffer[: len(plaintext)] = plaintext
        self._position += len(plaintext)
        return len(plaintext)

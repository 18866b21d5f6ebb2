"""Where an archive's members lie between the two passes: on disk, deflated, encrypted.

Rule 1: the key is drawn for one spool and lives in memory only, so what a crash leaves behind can
be read by nobody. The file has no name, so nothing is left behind either.
Rule 2: no more than `bytes_max` lie on disk; beyond that there is `QuotaExceededError`.
Rule 3: what is read back is authenticated: a disk that altered it is found out.
"""

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from isal import isal_zlib

from proofs.chunked import KEY_BYTES, Decryptor, Encryptor, Entropy

# Level 1 of ISA-L's four: about zlib's level 1 in size, at several times its speed.
DEFLATE_LEVEL: Final = 1
RAW_DEFLATE: Final = -15
READ_BYTES: Final = 256 * 1024
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class QuotaExceededError(Exception):
    """The archive would become larger than it may, or than the disk can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of the archive, as it lies in the spool; `sha256` is over its content."""

    path: str
    size: int
    sha256: str
    crc32: int
    deflated_bytes: int
    start: int
    stop: int


class Spool:
    """Members are written one after the other, and read in any order. Use it as a context."""

    def __init__(self, folder: Path, bytes_max: int, entropy: Entropy) -> None:
        self._key = entropy(KEY_BYTES)
        self._entropy = entropy
        self._bytes_max = bytes_max
        # Closed by `__exit__`, and by the end of the process.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.size = 0

    def member(self, path: str) -> "MemberWriter":
        """Begin the next member; the one before it must be finished."""
        encryptor = Encryptor(self._key, path.encode(), entropy=self._entropy)
        return MemberWriter(self, path, encryptor)

    def add(self, path: str, content: bytes) -> Member:
        writer = self.member(path)
        writer.write(content)
        return writer.finish()

    def deflated(self, member: Member) -> Iterator[bytes]:
        """A member's content, deflated, in pieces.

        Raises:
            Tampered: the disk gave back something else than was written.
        """
        decryptor = Decryptor(self._key, member.path.encode())
        position = member.start
        while position < member.stop:
            self._file.seek(position)
            piece = self._file.read(min(READ_BYTES, member.stop - position))
            if not piece:
                break
            position += len(piece)
            if opened := decryptor.update(piece):
                yield opened
        if opened := decryptor.finish():
            yield opened

    def content(self, member: Member) -> Iterator[bytes]:
        """A member's content in pieces."""
        inflater = isal_zlib.decompressobj(RAW_DEFLATE)
        for piece in self.deflated(member):
            waiting = piece
            while waiting:
                # Bounded, because a small piece may hold a large run of the same byte.
                if inflated := inflater.decompress(waiting, READ_BYTES):
                    yield inflated
                waiting = inflater.unconsumed_tail
        if inflated := inflater.flush():
            yield inflated

    def append(self, ciphertext: bytes) -> None:
        """Write behind what is there; for members on their way."""
        if self.size + len(ciphertext) > self._bytes_max:
            raise QuotaExceededError
        with _room():
            self._file.seek(self.size)
            self._file.write(ciphertext)
        self.size += len(ciphertext)

    def flush(self) -> None:
        with _room():
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class MemberWriter:
    """A member on its way into the spool."""

    def __init__(self, spool: Spool, path: str, encryptor: Encryptor) -> None:
        self._spool = spool
        self._path = path
        self._start = spool.size
        self._encryptor = encryptor
        self._deflater = isal_zlib.compressobj(DEFLATE_LEVEL, isal_zlib.DEFLATED, RAW_DEFLATE)
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        self._size = 0
        self._deflated_bytes = 0

    def write(self, content: bytes) -> None:
        self._sha256.update(content)
        self._crc32 = isal_zlib.crc32(content, self._crc32)
        self._size += len(content)
        self._keep(self._deflater.compress(content))

    def finish(self) -> Member:
        self._keep(self._deflater.flush())
        self._spool.append(self._encryptor.finish())
        self._spool.flush()
        return Member(
            path=self._path,
            size=self._size,
            sha256=self._sha256.hexdigest(),
            crc32=self._crc32,
            deflated_bytes=self._deflated_bytes,
            start=self._start,
            stop=self._spool.size,
        )

    def _keep(self, deflated: bytes) -> None:
        self._deflated_bytes += len(deflated)
        if ciphertext := self._encryptor.update(deflated):
            self._spool.append(ciphertext)


@contextmanager
def _room() -> Iterator[None]:
    """A full disk is a quota that nobody configured."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise QuotaExceededError from error
        raise

"""The two key files: the key-encryption key, and the identity that product services seal to.

Rule 1: a file that anybody else may read, or that is not plainly a file of ours, is refused.
Rule 2: a file is never overwritten: that would destroy everything it wraps.

Whoever loses the key-encryption key has lost the vault; it is backed up apart from the database.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyrage

KEK_BYTES: Final = 32
_FILE_BYTES_MAX: Final = 4096
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileRefused(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The file cannot be used; says why and never what is in it."""


def make_kek(path: Path, *, entropy: Callable[[int], bytes] = os.urandom) -> None:
    """Write a fresh key-encryption key, readable by its owner only."""
    _write(path, entropy(KEK_BYTES).hex() + "\n")


def make_identity(path: Path) -> None:
    """Write a fresh age identity (X25519), as `age-keygen` would."""
    identity = pyrage.x25519.Identity.generate()
    _write(path, f"# public key: {identity.to_public()}\n{identity}\n")


def load_kek(path: Path) -> bytes:
    try:
        key = bytes.fromhex(_read(path).strip())
    except ValueError:
        raise KeyFileRefused(f"{path} holds no key-encryption key") from None
    if len(key) != KEK_BYTES:
        raise KeyFileRefused(f"{path} holds no key-encryption key")
    return key


def load_identity(path: Path) -> pyrage.x25519.Identity:
    lines = [line for line in _read(path).splitlines() if line and not line.startswith("#")]
    try:
        (line,) = lines
        return pyrage.x25519.Identity.from_str(line)
    except (ValueError, pyrage.IdentityError):
        raise KeyFileRefused(f"{path} holds no age identity") from None


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise KeyFileRefused(f"{path} exists, and key files are never overwritten") from None
    except OSError as error:
        raise KeyFileRefused(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise KeyFileRefused(f"{path} cannot be read: {error.strerror}") from None
    try:
        _refuse_unsafe(path, os.fstat(descriptor))
        content = os.read(descriptor, _FILE_BYTES_MAX)
    finally:
        os.close(descriptor)
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileRefused(f"{path} is no key file") from None


def _refuse_unsafe(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileRefused(f"{path} is not a file")
    if found.st_mode & _OTHERS:
        raise KeyFileRefused(f"{path} can be read by others: chmod 600 {path}")
    if found.st_uid not in (os.geteuid(), 0):
        raise KeyFileRefused(f"{path} belongs to somebody else")

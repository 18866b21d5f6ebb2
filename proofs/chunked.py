"""C2SP chunked encryption, instantiated as Cobblestone-256: SHA-512 and AES-256-GCM.

Source: https://c2sp.org/chunked-encryption, the sections named in the comments. A ciphertext is

    salt (24) ‖ key commitment (32) ‖ chunks, each of 16 KiB + 16 bytes of tag, the last one shorter

Rule 1. A key and a salt meet once: the salt is drawn for every message, never derived (K-2).
Rule 2. The commitment is checked before any chunk is opened.
Rule 3. No byte of plaintext leaves before the chunk that holds it is authenticated. What a
        `Decryptor` gave out is a true *beginning* of the message; that it is the whole message
        is known only when `finish` returns.
Rule 4. The last chunk is shorter than 16 KiB, so a cut at a chunk's edge is seen.

`cryptography` 50 ships this very format as `cryptography.cobblestone`. We keep our own because the
salt must come through a port (a simulation has to replay) and because archives are read by range;
the tests hold both against each other.
"""

import hmac
import itertools
import os
from collections.abc import Callable, Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from proofs.failures import Tampered
from proofs.framing import Octets

KEY_BYTES = 32
SALT_BYTES = 24
COMMITMENT_BYTES = 32
PREAMBLE_BYTES = SALT_BYTES + COMMITMENT_BYTES
CHUNK_BYTES = 16 * 1024
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
CHUNKS_MAX = 1 << 38

_NONCE_BYTES = 12
_INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"

Entropy = Callable[[int], bytes]
"""Gives that many bytes nobody can predict; only simulations pass anything but `os.urandom`."""

Reader = Callable[[int, int], Iterable[bytes]]
"""Gives the bytes start … end (exclusive) of a stored blob, in pieces of any size."""


def seal(key: Octets, plaintext: Octets, context: bytes, *, entropy: Entropy = os.urandom) -> bytes:
    """Encrypt a message that fits into memory; `ciphertext_size` says how long it gets.

    Raises:
        ValueError: The key has not 32 bytes.

    """
    encryptor = Encryptor(key, context, entropy=entropy)
    return encryptor.update(plaintext) + encryptor.finish()


def open_sealed(key: Octets, blob: Octets, context: bytes) -> bytes:
    """Decrypt what `seal` or an `Encryptor` made under the same key and context.

    Raises:
        Tampered: It is anything else.
        ValueError: The key has not 32 bytes.

    """
    decryptor = Decryptor(key, context)
    return decryptor.update(blob) + decryptor.finish()


def ciphertext_size(plaintext_bytes: int) -> int:
    """Bytes of ciphertext that a message of this many bytes becomes."""
    if plaintext_bytes < 0:
        raise ValueError("a message has no negative size")
    chunk_count = plaintext_bytes // CHUNK_BYTES + 1
    return PREAMBLE_BYTES + plaintext_bytes + chunk_count * TAG_BYTES


def plaintext_size(ciphertext_bytes: int) -> int:
    """Bytes of plaintext in a ciphertext of this many bytes, as claimed by its length alone.

    Raises:
        Tampered: No message has a ciphertext of this length.

    """
    # Implementation notes: of the lengths past the preamble only those are valid whose
    # remainder by 16 KiB + 16 leaves room for a tag.
    full, rest = divmod(ciphertext_bytes - PREAMBLE_BYTES, SEALED_CHUNK_BYTES)
    if full < 0 or rest < TAG_BYTES or full >= CHUNKS_MAX:
        raise Tampered("length")
    return full * CHUNK_BYTES + rest - TAG_BYTES


class Encryptor:
    """Encrypts one message as it comes; holds at most one chunk.

    `prefix` is given out before the first byte of ciphertext, for a header of the caller's.
    """

    __slots__ = ("_chunks", "_cipher", "_is_over", "_numbers", "_unsent")

    def __init__(
        self, key: Octets, context: bytes, *, prefix: bytes = b"", entropy: Entropy = os.urandom
    ) -> None:
        salt = entropy(SALT_BYTES)
        self._cipher = _Cipher(key, salt, context)
        self._chunks = _Cutter(CHUNK_BYTES)
        self._numbers = itertools.count()
        self._unsent = prefix + salt + self._cipher.commitment
        self._is_over = False

    def update(self, plaintext: Octets) -> bytes:
        """Take more of the message; return the ciphertext that is ready, maybe none."""
        self._must_be_open()
        ready = [self._unsent]
        ready += map(self._cipher.seal, self._chunks.cut(plaintext), self._numbers)
        self._unsent = b""
        return b"".join(ready)

    def finish(self) -> bytes:
        """End the message and return the rest of its ciphertext, which is never empty."""
        self._must_be_open()
        self._is_over = True
        return self._unsent + self._cipher.seal(self._chunks.rest(), next(self._numbers))

    def _must_be_open(self) -> None:
        if self._is_over:
            raise ValueError("this message is finished")


class Decryptor:
    """Decrypts one message as it comes; holds at most one chunk. See rule 3."""

    __slots__ = ("_chunks", "_cipher", "_context", "_is_over", "_key", "_numbers", "_preamble")

    def __init__(self, key: Octets, context: bytes) -> None:
        self._key = _checked(key)
        self._context = context
        self._preamble = bytearray()
        self._cipher: _Cipher | None = None
        self._chunks = _Cutter(SEALED_CHUNK_BYTES)
        self._numbers = itertools.count()
        self._is_over = False

    def update(self, ciphertext: Octets) -> bytes:
        """Take more ciphertext; return the plaintext that is authenticated, maybe none.

        Raises:
            Tampered: The message does not open; the decryptor is of no further use.

        """
        self._begin()
        view = memoryview(ciphertext)
        if self._cipher is None:
            missing = PREAMBLE_BYTES - len(self._preamble)
            self._preamble += view[:missing]
            view = view[missing:]
            if len(self._preamble) < PREAMBLE_BYTES:
                self._is_over = False
                return b""
            self._cipher = _cipher_of(self._key, self._preamble, self._context)
        plaintext = b"".join(map(self._cipher.open, self._chunks.cut(view), self._numbers))
        self._is_over = False
        return plaintext

    def finish(self) -> bytes:
        """Say that no more ciphertext comes; return the rest of the message.

        Raises:
            Tampered: The message was cut, or its end does not open.

        """
        self._begin()
        last = self._chunks.rest()
        # Message chunking: a message that ends with a full chunk is cut. Full ones were opened in
        # `update`, so what is left then is nothing, not even the tag of an empty chunk.
        if self._cipher is None or len(last) < TAG_BYTES:
            raise Tampered("truncated")
        return self._cipher.open(last, next(self._numbers))

    def _begin(self) -> None:
        """Count every call as the last one until it succeeds: after a failure there is no next."""
        if self._is_over:
            raise ValueError("this message is finished")
        self._is_over = True


class Opened:
    """A stored ciphertext, opened for reading by range.

    Opening asks the reader for the preamble and the last chunk, so `size` is authentic from the
    start and may be promised to a client; afterwards each range is asked for in one call.
    """

    __slots__ = ("_cipher", "_ciphertext_bytes", "_reader", "size")

    def __init__(self, key: Octets, context: bytes, reader: Reader, ciphertext_bytes: int) -> None:
        """Check key, context and length of a ciphertext that has this many bytes.

        Raises:
            Tampered: It does not open.

        """
        self.size = plaintext_size(ciphertext_bytes)
        self._reader = reader
        self._ciphertext_bytes = ciphertext_bytes
        preamble = b"".join(reader(0, PREAMBLE_BYTES))
        self._cipher = _cipher_of(key, preamble, context)
        b"".join(self._open_chunks(self.size // CHUNK_BYTES, ciphertext_bytes))

    def read(self, start: int, end: int) -> bytes:
        """Bytes start … end (exclusive) of the message.

        Raises:
            Tampered: A chunk of the range does not open.
            ValueError: The range is not within 0 … `size`.

        """
        return b"".join(self.stream(start, end))

    def stream(self, start: int, end: int) -> Iterator[bytes]:
        """As `read`, in pieces about as large as the reader's, so memory stays constant."""
        if not 0 <= start <= end <= self.size:
            raise ValueError("the range lies outside the message")
        return self._range(start, end) if start < end else iter(())

    def _range(self, start: int, end: int) -> Iterator[bytes]:
        # Implementation notes: byte i lies in chunk i // 16384, chunk k at 56 + k * 16400.
        first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        until = PREAMBLE_BYTES + (last + 1) * SEALED_CHUNK_BYTES
        position = first * CHUNK_BYTES
        for plaintext in self._open_chunks(first, min(until, self._ciphertext_bytes)):
            yield plaintext[max(start - position, 0) : end - position]
            position += len(plaintext)

    def _open_chunks(self, first: int, until: int) -> Iterator[bytes]:
        begin = PREAMBLE_BYTES + first * SEALED_CHUNK_BYTES
        missing = until - begin
        chunks, numbers = _Cutter(SEALED_CHUNK_BYTES), itertools.count(first)
        for piece in self._reader(begin, until):
            missing -= len(piece)
            if missing < 0:
                raise Tampered("length")
            if plaintext := b"".join(map(self._cipher.open, chunks.cut(piece), numbers)):
                yield plaintext
        if missing:
            raise Tampered("length")
        if rest := chunks.rest():
            yield self._cipher.open(rest, next(numbers))


def whole(blob: bytes) -> Reader:
    """A reader over a blob that lies in memory."""
    return lambda start, end: (blob[start:end],)


class _Cipher:
    """Key, base nonce and commitment of one message; may serve several readers at once."""

    __slots__ = ("_aead", "_base_nonce", "commitment")

    def __init__(self, key: Octets, salt: bytes, context: bytes) -> None:
        if len(salt) != SALT_BYTES:
            raise ValueError("a salt has 24 bytes")
        # Key derivation: key ‖ base nonce ‖ commitment, with the context in the info; the AEAD's
        # own associated data stays empty (AEAD usage).
        derivation = HKDFExpand(
            algorithm=SHA512(),
            length=KEY_BYTES + _NONCE_BYTES + COMMITMENT_BYTES,
            info=_INFO + salt + context,
        )
        material = derivation.derive(_checked(key))
        self._aead = AESGCM(material[:KEY_BYTES])
        self._base_nonce = int.from_bytes(material[KEY_BYTES:-COMMITMENT_BYTES], "big")
        self.commitment = material[-COMMITMENT_BYTES:]

    def seal(self, chunk: Octets, number: int) -> bytes:
        if number >= CHUNKS_MAX:
            raise ValueError("a message has at most 2^38 chunks")
        return self._aead.encrypt(self._nonce(number), chunk, None)

    def open(self, sealed_chunk: Octets, number: int) -> bytes:
        if number >= CHUNKS_MAX:
            raise Tampered("length")
        try:
            return self._aead.decrypt(self._nonce(number), sealed_chunk, None)
        except InvalidTag:
            raise Tampered("chunk") from None

    def _nonce(self, number: int) -> bytes:
        return (self._base_nonce ^ number).to_bytes(_NONCE_BYTES, "big")


def _checked(key: Octets) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    return bytes(key)


def _cipher_of(key: Octets, preamble: Octets, context: bytes) -> _Cipher:
    if len(preamble) != PREAMBLE_BYTES:
        raise Tampered("truncated")
    cipher = _Cipher(key, bytes(preamble[:SALT_BYTES]), context)
    if not hmac.compare_digest(cipher.commitment, preamble[SALT_BYTES:]):
        raise Tampered("commitment")
    return cipher


class _Cutter:
    """Cuts a stream into pieces of one size; what is left over waits for more."""

    __slots__ = ("_rest", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = bytearray()

    def cut(self, incoming: Octets) -> Iterator[Octets]:
        size = self._size
        view = memoryview(incoming)
        if self._rest:
            missing = size - len(self._rest)
            self._rest += view[:missing]
            view = view[missing:]
            if len(self._rest) < size:
                return
            yield self._rest
            self._rest = bytearray()
        uncut = len(view) % size
        for offset in range(0, len(view) - uncut, size):
            yield view[offset : offset + size]
        self._rest += view[len(view) - uncut :]

    def rest(self) -> bytes:
        return bytes(self._rest)

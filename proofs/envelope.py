"""Our header before a ciphertext, and the context that ties it to its place.

A blob is `HBS1 ‖ suite (1) ‖ key id (16)`, then a ciphertext of `chunked`. The header is in the
clear: it says which key to ask for and nothing about whose it is. It is not authenticated and need
not be: another key id leads to another key, which fails at the commitment.

Rule 1 (K-4). The context names every circumstance of a blob, each behind its length, so a fragment
moved to another tenant, person, request, source, section, run or position does not open.
Rule 2. A suite decides alone how a blob is read; two suites are never tried in turn on one blob.
"""

import os
from dataclasses import dataclass
from typing import Final, Self, TypedDict, Unpack

from proofs import chunked
from proofs.chunked import Encryptor, Entropy, Opened, Reader
from proofs.failures import Tampered
from proofs.framing import Field, Octets, prefixed16

MAGIC: Final = b"HBS1"
COBBLESTONE_256: Final = 1
KEY_ID_BYTES: Final = 16
HEADER_BYTES: Final = len(MAGIC) + 1 + KEY_ID_BYTES

_CHUNK_INDEX_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The 21 bytes in front; `key_id` is the 16 bytes that the keyring knows the key by."""

    key_id: bytes

    def encode(self) -> bytes:
        if len(self.key_id) != KEY_ID_BYTES:
            raise ValueError("a key id has 16 bytes")
        return MAGIC + bytes([COBBLESTONE_256]) + self.key_id

    @classmethod
    def decode(cls, blob: Octets) -> Self:
        """Read the header at the beginning of a blob.

        Raises:
            Tampered: These are not our bytes, or of a suite that this release does not know.

        """
        head = bytes(blob[:HEADER_BYTES])
        if len(head) != HEADER_BYTES or not head.startswith(MAGIC):
            raise Tampered("header")
        if head[len(MAGIC)] != COBBLESTONE_256:
            raise Tampered("suite")
        return cls(key_id=head[-KEY_ID_BYTES:])


class Circumstances(TypedDict):
    """What a blob is bound to; a kind that has no such thing passes an empty value, knowingly."""

    tenant: Field
    subject_ref: bytes
    request_id: Field
    source: str
    section: str
    run_id: Field
    chunk_index: int
    last: bool
    schema_fingerprint: bytes


def context(kind: str, **fields: Unpack[Circumstances]) -> bytes:
    """Bytes that bind a blob to its circumstances (K-4); pass them to `seal` and to `open_sealed`.

    `"habeas/v1/" ‖ kind ‖ 0x00`, then each field as u16 length ‖ bytes, in the order of
    `Circumstances`: text as UTF-8, the index as four bytes big-endian, the flag as one.

    Raises:
        ValueError: The kind is empty or holds a zero byte, a field is over 65 535 bytes, or the
            index does not fit into 32 bits.

    """
    if not kind or "\0" in kind:
        raise ValueError("a kind is text without zero bytes")
    if not 0 <= fields["chunk_index"] < 1 << (8 * _CHUNK_INDEX_BYTES):
        raise ValueError("a chunk index fits into 32 bits")
    ordered: tuple[Field, ...] = (
        fields["tenant"],
        fields["subject_ref"],
        fields["request_id"],
        fields["source"],
        fields["section"],
        fields["run_id"],
        fields["chunk_index"].to_bytes(_CHUNK_INDEX_BYTES, "big"),
        bytes([fields["last"]]),
        fields["schema_fingerprint"],
    )
    return b"habeas/v1/" + kind.encode() + b"\0" + b"".join(map(prefixed16, ordered))


def ciphertext_size(plaintext_bytes: int) -> int:
    """Bytes of a blob, header and all, that a message of this many bytes becomes."""
    return HEADER_BYTES + chunked.ciphertext_size(plaintext_bytes)


def plaintext_size(blob_bytes: int) -> int:
    """Bytes of the message in a blob of this many bytes, as claimed by its length alone.

    Raises:
        Tampered: No blob has this length.

    """
    return chunked.plaintext_size(blob_bytes - HEADER_BYTES)


def key_id_of(blob: Octets) -> bytes:
    """The 16 bytes that name the key of a blob, or of anything that begins like one.

    Raises:
        Tampered: It does not begin like one of ours.

    """
    return Header.decode(blob).key_id


def seal(
    key: Octets, key_id: bytes, plaintext: Octets, context: bytes, *, entropy: Entropy = os.urandom
) -> bytes:
    """Seal a message that fits into memory under a 32-byte key known by a 16-byte id."""
    encryptor = encrypting(key, key_id, context, entropy=entropy)
    return encryptor.update(plaintext) + encryptor.finish()


def open_sealed(key: Octets, blob: Octets, context: bytes) -> bytes:
    """Open what `seal` or `encrypting` made under the same key and context.

    Raises:
        Tampered: It is anything else.

    """
    Header.decode(blob)
    return chunked.open_sealed(key, memoryview(blob)[HEADER_BYTES:], context)


def encrypting(
    key: Octets, key_id: bytes, context: bytes, *, entropy: Entropy = os.urandom
) -> Encryptor:
    """An encryptor whose first output begins with the header.

    For the other way, read `HEADER_BYTES`, find the key by `key_id_of`, and feed what follows to a
    `chunked.Decryptor`.
    """
    prefix = Header(key_id=key_id).encode()
    return Encryptor(key, context, prefix=prefix, entropy=entropy)


def opened(key: Octets, context: bytes, reader: Reader, blob_bytes: int) -> Opened:
    """Open a stored blob of this many bytes for reading by range; see `chunked.Opened`.

    The reader counts from the beginning of the blob. That the header is ours was seen by whoever
    looked up the key by it.

    Raises:
        Tampered: It does not open.

    """
    return Opened(
        key,
        context,
        lambda start, end: reader(HEADER_BYTES + start, HEADER_BYTES + end),
        blob_bytes - HEADER_BYTES,
    )

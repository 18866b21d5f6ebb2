"""That a decision is in the log: the bytes of its leaf, and the proof that stands beside a file.

Source of the proof's text: https://c2sp.org/tlog-proof. It outlives the theft of a signing key: a
thief can sign today, but cannot have been witnessed last year.
"""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from proofs.checkpoints import VerifiedCheckpoint, open_checkpoint
from proofs.failures import Malformed
from proofs.framing import from_base64, prefixed32, to_base64
from proofs.notes import NoteKey
from proofs.tree import HASH_BYTES, check_inclusion

LOG_ID_BYTES: Final = 16

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_HASHES_MAX: Final = 63
"""A tree of at most 2^63 leaves is no higher."""


def decision_leaf(log_id: bytes, partition: int, seq: int, key: bytes, value: bytes) -> bytes:
    """The entry that `tree.leaf_hash` hashes for one decision: its key and value as on the wire.

    `"habeas/leaf/v1" 0x00 ‖ log id (16) ‖ u32 partition ‖ u64 seq ‖ u32 length ‖ key ‖ u32 length
    ‖ value`. Nothing is serialised again to hash it; headers, offsets and times are not covered.
    """
    if len(log_id) != LOG_ID_BYTES:
        raise ValueError("a log id has 16 bytes")
    place = struct.pack(">IQ", partition, seq)
    return b"habeas/leaf/v1\0" + log_id + place + prefixed32(key) + prefixed32(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """Leaf `index` leads by `path` to the root in a signed checkpoint; `extra` proves nothing."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """The bytes of a `.tlog-proof` file."""
        lines = [_FIRST_LINE]
        if self.extra:
            lines.append(f"extra {to_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(to_base64, self.path)
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def decode(cls, proof: bytes) -> Self:
        """Read a `.tlog-proof` file without believing it.

        Raises:
            Malformed: It is none.

        """
        head, separator, checkpoint = proof.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise Malformed("tlog-proof") from None
        if not separator or first != _FIRST_LINE:
            raise Malformed("tlog-proof")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines[0]) if lines else None
        path = tuple(map(from_base64, lines[1:]))
        if index is None or len(path) > _HASHES_MAX or any(len(h) != HASH_BYTES for h in path):
            raise Malformed("tlog-proof")
        return cls(index=int(index[1]), path=path, checkpoint=checkpoint, extra=extra)


def check_logged(
    leaf: bytes,
    proof: LogProof,
    log: NoteKey,
    *,
    witnesses: Iterable[NoteKey] = (),
    quorum: int = 0,
) -> VerifiedCheckpoint:
    """The checkpoint that holds the leaf hash at `proof.index`.

    Raises:
        Malformed: The checkpoint is none.
        BadSignature: The log did not sign it, or too few witnesses did.
        BadProof: The leaf is not in it.

    """
    verified = open_checkpoint(proof.checkpoint, log, witnesses=witnesses, quorum=quorum)
    checkpoint = verified.checkpoint
    check_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root)
    return verified

"""C2SP tlog checkpoints: the signed size and root of a log, and the witnesses who saw them.

Source: https://c2sp.org/tlog-checkpoint and https://c2sp.org/tlog-cosignature. That one checkpoint
is the continuation of another is shown by `tree.check_consistency`, and a witness must have seen
that before it cosigns.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

from proofs import notes
from proofs.failures import BadSignature, Malformed
from proofs.framing import from_base64, to_base64
from proofs.keys import SigningKey
from proofs.notes import NoteKey, Signature, SignatureKind
from proofs.tree import HASH_BYTES

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LINES_MIN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log (`origin`) has `size` leaves and this 32-byte root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The text that is signed (tlog-checkpoint, note text).

        Raises:
            Malformed: A line would be empty or break in two.

        """
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        if not all(lines) or any("\n" in line for line in lines) or len(self.root) != HASH_BYTES:
            raise Malformed("checkpoint")
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read the text of a verified note.

        Raises:
            Malformed: It is not that of a checkpoint.

        """
        lines = text.decode().removesuffix("\n").split("\n")
        if len(lines) < _LINES_MIN or not all(lines) or not _SIZE.fullmatch(lines[1]):
            raise Malformed("checkpoint")
        root = from_base64(lines[2])
        if len(root) != HASH_BYTES:
            raise Malformed("checkpoint")
        return cls(origin=lines[0], size=int(lines[1]), root=root, extensions=tuple(lines[3:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """At this time (UTC), by its own clock, a witness had seen no larger tree of the log."""

    witness: NoteKey
    cosigned_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCheckpoint:
    """A checkpoint that its log signed, and the known witnesses who cosigned it."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


def sign(checkpoint: Checkpoint, signer: SigningKey) -> bytes:
    """The checkpoint as a note, signed by its log under its origin as key name."""
    return notes.sign(checkpoint.encode(), [(checkpoint.origin, signer)])


def cosign(note: bytes, name: str, signer: SigningKey, at: datetime) -> bytes:
    """The note with one line more: a cosignature/v1 of a witness.

    The caller has verified the log's signature, and consistency with the last checkpoint that it
    cosigned for this origin; this function cannot.
    """
    unsigned = notes.parse(note)
    unix_seconds = int(at.timestamp())
    key = NoteKey(name=name, public=signer.public, kind=SignatureKind.COSIGNATURE_V1)
    signature = Signature(
        name=name,
        key_id=key.key_id,
        payload=unix_seconds.to_bytes(notes.TIME_BYTES, "big")
        + signer.sign(notes.cosigned_message(unsigned.text, unix_seconds)),
    )
    return replace(unsigned, signatures=(*unsigned.signatures, signature)).encode()


def open_checkpoint(
    note: bytes, log: NoteKey, *, witnesses: Iterable[NoteKey] = (), quorum: int = 0
) -> VerifiedCheckpoint:
    """The checkpoint, if the log signed it and at least `quorum` of the witnesses cosigned it.

    The log's key name is the origin that is expected. Witnesses count once for each public key.

    Raises:
        Malformed: The note is no checkpoint.
        BadSignature: It is another log's, the log did not sign it, too few witnesses did, or a
            signature of one of them does not fit.

    """
    opened, signers = notes.open_note(note, (log, *witnesses))
    if log not in signers:
        raise BadSignature("log")
    checkpoint = Checkpoint.decode(opened.text)
    if checkpoint.origin != log.name:
        raise BadSignature("origin")
    cosignatures = tuple(
        Cosignature(witness=signer, cosigned_at=_instant(signature))
        for signer, signature in zip(signers, opened.signatures, strict=True)
        if signer.kind is SignatureKind.COSIGNATURE_V1
    )
    if len({cosignature.witness.public for cosignature in cosignatures}) < quorum:
        raise BadSignature("quorum")
    return VerifiedCheckpoint(checkpoint=checkpoint, cosignatures=cosignatures)


def _instant(signature: Signature) -> datetime:
    try:
        return datetime.fromtimestamp(notes.cosignature_time(signature.payload), UTC)
    except (ValueError, OverflowError, OSError):
        # The time is signed, but no calendar holds it.
        raise Malformed("time") from None

"""C2SP signed notes: a few lines of text, and below them who signed.

Source: https://c2sp.org/signed-note; the cosignature type is of https://c2sp.org/tlog-cosignature.

    text
    <empty line>
    — name base64(key id (4) ‖ signature)

Rule 1. Text is worth nothing before `open_note` returned it.
Rule 2. Signatures of keys that we do not know are ignored, so a log can change its key and gain
        witnesses. A bad signature of a key that we do know spoils the note.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self, assert_never

from proofs.failures import BadSignature, Malformed
from proofs.framing import from_base64, to_base64
from proofs.keys import SIGNATURE_BYTES, SigningKey, VerifyKey

KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8
NOTE_BYTES_MAX: Final = 1 << 20
SIGNATURES_MAX: Final = 100

_VKEY_PARTS: Final = 3
_TIME_MAX: Final = (1 << 63) - 1


class SignatureKind(IntEnum):
    """The type byte that makes one key pair two note keys (signed-note, signature types)."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A key that a verifier trusts: whose it is, what it signs like, and its public half."""

    name: str
    public: VerifyKey
    kind: SignatureKind = SignatureKind.ED25519

    def __post_init__(self) -> None:
        _must_be_name(self.name)

    @property
    def key_id(self) -> bytes:
        """Four bytes: SHA-256(name ‖ 0x0A ‖ type ‖ public key), cut."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public.raw
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    def vkey(self) -> str:
        """One line to publish: `name+id+base64(type ‖ public key)`."""
        material = to_base64(bytes([self.kind]) + self.public.raw)
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def from_vkey(cls, vkey: str) -> Self:
        """Read a line that `vkey` or another implementation wrote.

        Raises:
            Malformed: It is none, its id does not fit, or its type is not known here.

        """
        # Names hold no plus, but base64 may.
        parts = vkey.split("+", maxsplit=_VKEY_PARTS - 1)
        if len(parts) != _VKEY_PARTS:
            raise Malformed("vkey")
        name, key_id, encoded = parts
        material = from_base64(encoded)
        if material[:1] not in {bytes([kind]) for kind in SignatureKind}:
            raise Malformed("key-type")
        key = cls(name=name, public=VerifyKey(material[1:]), kind=SignatureKind(material[0]))
        if key.key_id.hex() != key_id:
            raise Malformed("key-id")
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line. `payload` is what follows the key id; its form depends on the key."""

    name: str
    key_id: bytes
    payload: bytes

    def line(self) -> bytes:
        return f"— {self.name} {to_base64(self.key_id + self.payload)}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note taken apart. Out of `parse` it is unverified; out of `open_note` it is verified."""

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return self.text + b"\n" + b"".join(signature.line() for signature in self.signatures)


def sign(text: bytes, signers: Sequence[tuple[str, SigningKey]]) -> bytes:
    """Sign text that ends in a newline with each (key name, key), as type 0x01.

    Raises:
        Malformed: The text or a name cannot stand in a note.

    """
    _must_be_text(text)
    signatures = []
    for name, signer in signers:
        key_id = NoteKey(name=name, public=signer.public).key_id
        signatures.append(Signature(name=name, key_id=key_id, payload=signer.sign(text)))
    return Note(text=text, signatures=tuple(signatures)).encode()


def parse(note: bytes) -> Note:
    """Take a note apart without believing it.

    Raises:
        Malformed: It is not a signed note.

    """
    if len(note) > NOTE_BYTES_MAX:
        raise Malformed("size")
    _must_be_text(note)
    # Format: the last empty line separates, for the text itself may hold empty lines.
    text, separator, tail = note.rpartition(b"\n\n")
    lines = tail.decode().removesuffix("\n").split("\n")
    if not separator or len(lines) > SIGNATURES_MAX:
        raise Malformed("signatures")
    return Note(text=text + b"\n", signatures=tuple(map(_signature_of, lines)))


def open_note(note: bytes, keys: Iterable[NoteKey]) -> tuple[Note, tuple[NoteKey, ...]]:
    """The note with its verified signatures only, and the keys that made them, in that order.

    Raises:
        Malformed: It is not a signed note.
        BadSignature: None of the keys signed it, or a signature of one of them does not fit.

    """
    unverified = parse(note)
    known = {(key.name, key.key_id): key for key in keys}
    verified: dict[NoteKey, Signature] = {}
    for signature in unverified.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        _check(key, unverified.text, signature.payload)
        verified.setdefault(key, signature)
    if not verified:
        raise BadSignature("unknown-signers")
    return Note(text=unverified.text, signatures=tuple(verified.values())), tuple(verified)


def cosigned_message(text: bytes, unix_seconds: int) -> bytes:
    """What a cosignature/v1 signs: the text behind two lines, one of them the time."""
    return b"cosignature/v1\ntime %d\n" % unix_seconds + text


def cosignature_time(payload: bytes) -> int:
    """Seconds since 1970 that a cosignature claims; true only if its signature is.

    Raises:
        BadSignature: The payload is not 8 bytes of time and 64 of Ed25519.

    """
    unix_seconds = int.from_bytes(payload[:TIME_BYTES], "big")
    if len(payload) != TIME_BYTES + SIGNATURE_BYTES or unix_seconds > _TIME_MAX:
        raise BadSignature("cosignature")
    return unix_seconds


def _check(key: NoteKey, text: bytes, payload: bytes) -> None:
    match key.kind:
        case SignatureKind.ED25519:
            key.public.verify(text, payload)
        case SignatureKind.COSIGNATURE_V1:
            message = cosigned_message(text, cosignature_time(payload))
            key.public.verify(message, payload[TIME_BYTES:])
        case _:
            assert_never(key.kind)


def _signature_of(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—":
        raise Malformed("signature-line")
    _must_be_name(name)
    octets = from_base64(encoded)
    if len(octets) <= KEY_ID_BYTES:
        raise Malformed("signature-line")
    return Signature(name=name, key_id=octets[:KEY_ID_BYTES], payload=octets[KEY_ID_BYTES:])


def _must_be_name(name: str) -> None:
    if not name or "+" in name or any(sign.isspace() or sign < " " for sign in name):
        raise Malformed("key-name")


def _must_be_text(text: bytes) -> None:
    try:
        signs = text.decode()
    except UnicodeDecodeError:
        raise Malformed("utf-8") from None
    if not signs.endswith("\n") or any(sign < " " and sign != "\n" for sign in signs):
        raise Malformed("text")

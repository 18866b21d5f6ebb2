from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from proofs import checkpoints
from proofs.checkpoints import Checkpoint, Cosignature, cosign, open_checkpoint
from proofs.failures import BadSignature, Malformed
from proofs.keys import SigningKey
from proofs.notes import Note, NoteKey, Signature, SignatureKind, cosigned_message, parse, sign

LOG, WITNESS, SECOND = (SigningKey(bytes([number]) * 32) for number in range(3))
ORIGIN = "habeas.example/log/7f3a/p/4"
LOG_KEY = NoteKey(name=ORIGIN, public=LOG.public)
WITNESS_KEY = NoteKey(
    name="witness.example", public=WITNESS.public, kind=SignatureKind.COSIGNATURE_V1
)
SECOND_KEY = NoteKey(name="second.example", public=SECOND.public, kind=SignatureKind.COSIGNATURE_V1)
AT = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
HEAD = Checkpoint(origin=ORIGIN, size=20_852_163, root=bytes(range(32)))
NOTE = checkpoints.sign(HEAD, LOG)
COSIGNED = cosign(NOTE, "witness.example", WITNESS, AT)


def with_payload(payload: bytes) -> bytes:
    """The note with a cosignature line of the witness that holds this."""
    note = parse(NOTE)
    forged = Signature(name=WITNESS_KEY.name, key_id=WITNESS_KEY.key_id, payload=payload)
    return Note(text=note.text, signatures=(*note.signatures, forged)).encode()


def cosigned_at(unix_seconds: int) -> bytes:
    signature = WITNESS.sign(cosigned_message(HEAD.encode(), unix_seconds))
    return with_payload(unix_seconds.to_bytes(8, "big") + signature)


class TestText:
    def test_it_is_origin_size_and_root(self) -> None:
        root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

        assert HEAD.encode().decode() == f"{ORIGIN}\n20852163\n{root}\n"

    @pytest.mark.parametrize("size", [0, 1, 10, (1 << 63) - 1])
    def test_it_reads_as_it_was_written(self, size: int) -> None:
        checkpoint = replace(HEAD, size=size, extensions=("one", "two"))

        assert Checkpoint.decode(checkpoint.encode()) == checkpoint

    @pytest.mark.parametrize(
        "changed",
        [
            replace(HEAD, origin=""),
            replace(HEAD, origin="a\nb"),
            replace(HEAD, root=bytes(31)),
            replace(HEAD, extensions=("",)),
        ],
    )
    def test_what_would_read_otherwise_is_not_written(self, changed: Checkpoint) -> None:
        with pytest.raises(Malformed):
            changed.encode()

    @pytest.mark.parametrize(
        ("genuine", "other"),
        [
            ("20852163", "020852163"),
            ("20852163", "-1"),
            ("20852163", "+1"),
            ("20852163", "٣"),
            ("20852163", "1e3"),
            ("20852163", ""),
            ("20852163", "1" * 20),
            (ORIGIN, ""),
            ("Hh8=\n", "Hh8=\n\n"),
            ("Hh8=", "Hg=="),
            ("Hh8=", "Hh9="),
            ("\nAAEC", "AAEC"),
        ],
    )
    def test_what_is_no_checkpoint_is_refused(self, genuine: str, other: str) -> None:
        text = HEAD.encode().decode().replace(genuine, other)
        assert text.encode() != HEAD.encode()

        with pytest.raises(Malformed):
            Checkpoint.decode(text.encode())

    @pytest.mark.parametrize("lines", [1, 2])
    def test_fewer_than_three_lines_are_no_checkpoint(self, lines: int) -> None:
        text = b"".join(HEAD.encode().splitlines(keepends=True)[:lines])

        with pytest.raises(Malformed, match="checkpoint"):
            Checkpoint.decode(text)


class TestOpening:
    def test_what_the_log_signed_opens(self) -> None:
        verified = open_checkpoint(NOTE, LOG_KEY)

        assert verified.checkpoint == HEAD
        assert verified.cosignatures == ()

    def test_a_cosignature_gives_a_time(self) -> None:
        verified = open_checkpoint(COSIGNED, LOG_KEY, witnesses=[WITNESS_KEY], quorum=1)

        assert verified.cosignatures == (Cosignature(witness=WITNESS_KEY, cosigned_at=AT),)

    def test_the_time_of_a_cosignature_does_not_depend_on_where_one_is(self) -> None:
        elsewhere = AT.astimezone(timezone(timedelta(hours=9)))

        assert cosign(NOTE, "witness.example", WITNESS, elsewhere) == COSIGNED

    def test_a_cosignature_signs_the_text_behind_the_time(self) -> None:
        """The example of c2sp.org/tlog-cosignature, with our checkpoint."""
        payload = parse(COSIGNED).signatures[1].payload
        message = b"cosignature/v1\ntime 1772366407\n" + HEAD.encode()

        assert payload == (1_772_366_407).to_bytes(8, "big") + WITNESS.sign(message)

    def test_another_log_is_refused(self) -> None:
        elsewhere = NoteKey(name="habeas.example/log/7f3a/p/5", public=LOG.public)

        with pytest.raises(BadSignature):
            open_checkpoint(NOTE, elsewhere)

    def test_a_note_that_only_a_witness_signed_is_refused(self) -> None:
        note = parse(COSIGNED)
        orphan = replace(note, signatures=note.signatures[1:]).encode()

        with pytest.raises(BadSignature, match="log"):
            open_checkpoint(orphan, LOG_KEY, witnesses=[WITNESS_KEY])

    def test_a_checkpoint_of_another_origin_under_the_same_key_is_refused(self) -> None:
        text = replace(HEAD, origin="habeas.example/log/7f3a/p/5").encode()

        with pytest.raises(BadSignature, match="origin"):
            open_checkpoint(sign(text, [(ORIGIN, LOG)]), LOG_KEY)

    def test_a_signed_note_that_is_no_checkpoint_is_refused(self) -> None:
        with pytest.raises(Malformed):
            open_checkpoint(sign(b"hello\n", [(ORIGIN, LOG)]), LOG_KEY)

    @pytest.mark.parametrize("changed", [replace(HEAD, size=3), replace(HEAD, root=bytes(32))])
    def test_a_changed_head_is_refused(self, changed: Checkpoint) -> None:
        forged = NOTE.replace(HEAD.encode(), changed.encode())
        assert forged != NOTE

        with pytest.raises(BadSignature):
            open_checkpoint(forged, LOG_KEY)

    def test_a_cosignature_under_another_head_is_refused(self) -> None:
        later = checkpoints.sign(replace(HEAD, size=HEAD.size + 1), LOG)
        moved = later + COSIGNED[len(NOTE) :]

        assert open_checkpoint(moved, LOG_KEY).cosignatures == ()
        with pytest.raises(BadSignature):
            open_checkpoint(moved, LOG_KEY, witnesses=[WITNESS_KEY])

    def test_a_moved_time_is_refused(self) -> None:
        payload = parse(COSIGNED).signatures[1].payload

        with pytest.raises(BadSignature):
            open_checkpoint(with_payload(bytes(8) + payload[8:]), LOG_KEY, witnesses=[WITNESS_KEY])

    @pytest.mark.parametrize("length", [1, 64, 71, 73])
    def test_a_cosignature_of_another_length_is_refused(self, length: int) -> None:
        with pytest.raises(BadSignature, match="cosignature"):
            open_checkpoint(with_payload(bytes(length)), LOG_KEY, witnesses=[WITNESS_KEY])

    def test_a_time_beyond_all_integers_is_refused(self) -> None:
        with pytest.raises(BadSignature, match="cosignature"):
            open_checkpoint(cosigned_at(1 << 63), LOG_KEY, witnesses=[WITNESS_KEY])

    @pytest.mark.parametrize("unix_seconds", [(1 << 63) - 1, 253_402_300_800])
    def test_a_time_beyond_all_calendars_is_refused(self, unix_seconds: int) -> None:
        with pytest.raises(Malformed, match="time"):
            open_checkpoint(cosigned_at(unix_seconds), LOG_KEY, witnesses=[WITNESS_KEY])

    @pytest.mark.parametrize("unix_seconds", [0, 253_402_300_799])
    def test_the_first_and_the_last_second_are_times(self, unix_seconds: int) -> None:
        verified = open_checkpoint(cosigned_at(unix_seconds), LOG_KEY, witnesses=[WITNESS_KEY])

        assert verified.cosignatures[0].cosigned_at.timestamp() == unix_seconds


class TestQuorum:
    def test_too_few_witnesses_are_refused(self) -> None:
        with pytest.raises(BadSignature, match="quorum"):
            open_checkpoint(NOTE, LOG_KEY, witnesses=[WITNESS_KEY], quorum=1)

    def test_two_witnesses_are_two(self) -> None:
        both = cosign(COSIGNED, "second.example", SECOND, AT + timedelta(seconds=5))

        verified = open_checkpoint(both, LOG_KEY, witnesses=[SECOND_KEY, WITNESS_KEY], quorum=2)

        assert [cosignature.witness for cosignature in verified.cosignatures] == [
            WITNESS_KEY,
            SECOND_KEY,
        ]

    def test_one_witness_who_cosigned_twice_is_one(self) -> None:
        twice = cosign(COSIGNED, "witness.example", WITNESS, AT + timedelta(seconds=5))

        with pytest.raises(BadSignature, match="quorum"):
            open_checkpoint(twice, LOG_KEY, witnesses=[WITNESS_KEY], quorum=2)

    def test_one_witness_under_two_names_is_one(self) -> None:
        twice = cosign(COSIGNED, "alias.example", WITNESS, AT)
        alias = replace(WITNESS_KEY, name="alias.example")

        with pytest.raises(BadSignature, match="quorum"):
            open_checkpoint(twice, LOG_KEY, witnesses=[WITNESS_KEY, alias], quorum=2)

    def test_a_witness_that_we_do_not_know_does_not_count(self) -> None:
        with pytest.raises(BadSignature, match="quorum"):
            open_checkpoint(COSIGNED, LOG_KEY, witnesses=[SECOND_KEY], quorum=1)

    def test_the_log_is_not_its_own_witness(self) -> None:
        with pytest.raises(BadSignature, match="quorum"):
            open_checkpoint(NOTE, LOG_KEY, witnesses=[LOG_KEY], quorum=1)

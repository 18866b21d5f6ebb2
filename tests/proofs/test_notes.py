import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import notes
from proofs.failures import BadSignature, Malformed
from proofs.keys import SigningKey, VerifyKey
from proofs.notes import Note, NoteKey, Signature, SignatureKind, open_note, parse, sign

# The example of c2sp.org/signed-note, and that of Go's golang.org/x/mod/sumdb/note.
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = """\
This is an example message.

— example.com/foo \
Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann \
x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()

LOG, WITNESS, STRANGER = (SigningKey(bytes([number]) * 32) for number in range(3))
LOG_KEY = NoteKey(name="log.example", public=LOG.public)
OTHER_KEY = NoteKey(name="other.example", public=WITNESS.public)
TEXT = b"first line\n\nthird line\n"
SIGNED = sign(TEXT, [("log.example", LOG)])


def line(name: str, octets: bytes) -> bytes:
    return f"— {name} {base64.b64encode(octets).decode()}\n".encode()


class TestOtherPeoplesNotes:
    @pytest.mark.parametrize(("vkey", "note"), [(C2SP_VKEY, C2SP_NOTE), (GO_VKEY, GO_NOTE)])
    def test_the_published_examples_verify(self, vkey: str, note: bytes) -> None:
        key = NoteKey.from_vkey(vkey)

        opened, signers = open_note(note, [key])

        assert opened.text == note.partition(b"\n\n")[0] + b"\n"
        assert signers == (key,)
        assert opened.encode() == note

    @pytest.mark.parametrize("vkey", [C2SP_VKEY, GO_VKEY])
    def test_the_published_keys_are_written_as_they_were_read(self, vkey: str) -> None:
        assert NoteKey.from_vkey(vkey).vkey() == vkey


class TestKeys:
    def test_one_pair_has_another_id_for_each_way_of_signing(self) -> None:
        cosigning = NoteKey(
            name="log.example", public=LOG.public, kind=SignatureKind.COSIGNATURE_V1
        )

        named = b"log.example\n\x04" + LOG.public.raw
        assert cosigning.key_id == hashlib.sha256(named).digest()[:4]
        assert cosigning.key_id != LOG_KEY.key_id
        assert NoteKey.from_vkey(cosigning.vkey()) == cosigning

    @given(st.integers(0, 255))
    def test_a_key_whose_base64_holds_a_plus_is_read(self, number: int) -> None:
        key = NoteKey(name="a", public=SigningKey(bytes([number]) * 32).public)

        assert NoteKey.from_vkey(key.vkey()) == key

    @pytest.mark.parametrize(
        ("code", "vkey"),
        [
            ("vkey", "example.com/foo"),
            ("vkey", "example.com/foo+530d903a"),
            ("base64", C2SP_VKEY[:-1]),
            ("key-id", C2SP_VKEY.replace("530d903a", "530d903b")),
            ("key-id", C2SP_VKEY.replace("530d903a", "530D903A")),
            ("key-id", C2SP_VKEY.replace("foo", "fooo")),
            ("key-type", "example.com/foo+530d903a+" + base64.b64encode(b"\2" * 33).decode()),
            ("key-type", "example.com/foo+530d903a+"),
            ("public-key", "example.com/foo+530d903a+" + base64.b64encode(b"\1" * 32).decode()),
            ("key-name", C2SP_VKEY.replace("example.com/foo", "")),
        ],
    )
    def test_what_is_no_key_is_refused(self, code: str, vkey: str) -> None:
        with pytest.raises(Malformed, match=code):
            NoteKey.from_vkey(vkey)

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\nb", "a\x01"])
    def test_a_name_has_no_spaces_and_no_plus(self, name: str) -> None:
        with pytest.raises(Malformed, match="key-name"):
            NoteKey(name=name, public=LOG.public)


class TestSigning:
    def test_what_was_signed_opens(self) -> None:
        opened, signers = open_note(SIGNED, [LOG_KEY])

        assert opened.text == TEXT
        assert signers == (LOG_KEY,)

    def test_several_may_sign(self) -> None:
        note = sign(TEXT, [("other.example", WITNESS), ("log.example", LOG)])

        assert open_note(note, [LOG_KEY, OTHER_KEY])[1] == (OTHER_KEY, LOG_KEY)

    @pytest.mark.parametrize(
        "text", [b"", b"no end", b"tab\t\n", b"return\r\n", b"\xff\n", b"zero\0\n"]
    )
    def test_text_that_cannot_stand_in_a_note_is_not_signed(self, text: bytes) -> None:
        with pytest.raises(Malformed):
            sign(text, [("log.example", LOG)])

    def test_a_name_that_cannot_stand_in_a_note_does_not_sign(self) -> None:
        with pytest.raises(Malformed):
            sign(TEXT, [("log example", LOG)])

    def test_text_that_looks_like_a_signature_stays_text(self) -> None:
        text = b"quoted:\n\n" + SIGNED

        assert open_note(sign(text, [("log.example", LOG)]), [LOG_KEY])[0].text == text


class TestTrust:
    def test_unknown_signatures_are_ignored_and_left_out(self) -> None:
        note = sign(TEXT, [("new.example", STRANGER), ("log.example", LOG)])

        opened, _ = open_note(note, [LOG_KEY])

        assert [signature.name for signature in opened.signatures] == ["log.example"]

    def test_a_note_of_strangers_proves_nothing(self) -> None:
        with pytest.raises(BadSignature, match="unknown"):
            open_note(sign(TEXT, [("new.example", STRANGER)]), [LOG_KEY])

    def test_without_keys_nothing_is_proved(self) -> None:
        with pytest.raises(BadSignature, match="unknown"):
            open_note(SIGNED, [])

    def test_the_name_alone_is_not_the_key(self) -> None:
        with pytest.raises(BadSignature, match="unknown"):
            open_note(sign(TEXT, [("log.example", STRANGER)]), [LOG_KEY])

    def test_the_id_alone_is_not_the_key(self) -> None:
        forged = SIGNED.replace("— log.example".encode(), "— gol.example".encode())

        with pytest.raises(BadSignature, match="unknown"):
            open_note(forged, [LOG_KEY])

    def test_changed_text_is_refused(self) -> None:
        with pytest.raises(BadSignature, match="signature"):
            open_note(SIGNED.replace(b"first", b"worst"), [LOG_KEY])

    def test_one_bad_signature_of_a_known_key_spoils_the_note(self) -> None:
        bad = SIGNED + line("other.example", OTHER_KEY.key_id + bytes(64))

        assert open_note(bad, [LOG_KEY])[0].text == TEXT
        with pytest.raises(BadSignature, match="signature"):
            open_note(bad, [LOG_KEY, OTHER_KEY])

    def test_a_second_bad_signature_of_the_same_key_spoils_it_too(self) -> None:
        with pytest.raises(BadSignature, match="signature"):
            open_note(SIGNED + line("log.example", LOG_KEY.key_id + bytes(64)), [LOG_KEY])

    def test_a_key_that_signed_twice_is_named_once(self) -> None:
        twice = SIGNED + SIGNED.rpartition(b"\n\n")[2]

        opened, signers = open_note(twice, [LOG_KEY])

        assert (len(opened.signatures), signers) == (1, (LOG_KEY,))

    def test_a_plain_signature_is_no_cosignature(self) -> None:
        cosigning = NoteKey(
            name="log.example", public=LOG.public, kind=SignatureKind.COSIGNATURE_V1
        )
        forged = TEXT + b"\n" + line("log.example", cosigning.key_id + LOG.sign(TEXT))

        with pytest.raises(BadSignature, match="cosignature"):
            open_note(forged, [cosigning])

    @given(st.data())
    def test_no_bit_can_be_flipped(self, data: st.DataObject) -> None:
        altered = bytearray(SIGNED)
        altered[data.draw(st.integers(0, len(SIGNED) - 1))] ^= 1 << data.draw(st.integers(0, 7))

        with pytest.raises((BadSignature, Malformed)):
            open_note(bytes(altered), [LOG_KEY])


class TestParsing:
    @pytest.mark.parametrize(
        ("code", "note"),
        [
            ("text", b""),
            ("text", SIGNED[:-1]),
            ("signatures", TEXT.replace(b"\n\n", b"\n")),
            ("signature-line", TEXT),
            ("signature-line", TEXT + b"\n"),
            ("signature-line", SIGNED + b"\n"),
            ("signature-line", SIGNED + b"more\n"),
            ("signature-line", SIGNED.replace("—".encode(), b"-")),
            ("signature-line", TEXT + b"\n" + line("a", b"1234")),
            ("key-name", TEXT + b"\n" + line("", b"12345")),
            ("key-name", TEXT + b"\n" + line("a+b", b"12345")),
            ("signature-line", TEXT + b"\n" + "— a\n".encode()),
            ("base64", TEXT + b"\n" + "— a AAAAAAAA AAAA\n".encode()),
            ("base64", TEXT + b"\n" + "— a AAAAAAB=\n".encode()),
            ("text", SIGNED.replace(b"first", b"f\rrst")),
            ("text", SIGNED.replace(b"first", b"f\0rst")),
            ("utf-8", SIGNED.replace(b"first", b"f\xffrst")),
            ("size", b"a" * notes.NOTE_BYTES_MAX + b"\n"),
        ],
    )
    def test_what_is_no_note_is_refused(self, code: str, note: bytes) -> None:
        with pytest.raises(Malformed, match=f"^{code}$"):
            parse(note)

    def test_a_hundred_signatures_are_read_and_no_more(self) -> None:
        signatures = [line("a", index.to_bytes(5, "big")) for index in range(101)]

        assert len(parse(TEXT + b"\n" + b"".join(signatures[:100])).signatures) == 100
        with pytest.raises(Malformed, match="signatures"):
            parse(TEXT + b"\n" + b"".join(signatures))

    def test_a_note_of_the_largest_size_is_read(self) -> None:
        tail = b"\n" + line("a", b"12345")
        text = b"a" * (notes.NOTE_BYTES_MAX - len(tail) - 1) + b"\n"

        assert parse(text + tail).text == text

    def test_a_note_reads_as_it_was_written(self) -> None:
        signature = Signature(name="ä.example", key_id=b"1234", payload=b"5")
        note = Note(text=TEXT, signatures=(signature,))

        assert parse(note.encode()) == note

    def test_a_public_key_stays_what_it_was(self) -> None:
        assert VerifyKey(LOG.public.raw) == LOG_KEY.public

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import chunked, envelope
from proofs.chunked import Decryptor, whole
from proofs.envelope import Circumstances, Header, context
from proofs.failures import Tampered

KEY = bytes(range(32))
KEY_ID = bytes(range(16))
PLACE: Circumstances = {
    "tenant": "acme",
    "subject_ref": bytes(range(16)),
    "request_id": "EXP-2026-00412",
    "source": "shop",
    "section": "orders",
    "run_id": b"\x01" * 16,
    "chunk_index": 3,
    "last": False,
    "schema_fingerprint": b"\x02" * 8,
}
TEXTS = ("source", "section")


def as_field(name: str, octets: bytes) -> object:
    """The value whose bytes in the context are these."""
    if name == "chunk_index":
        return int.from_bytes(octets, "big")
    if name == "last":
        return octets == b"\x01"
    return octets.decode() if name in TEXTS else octets


def moved(**changed: object) -> bytes:
    return context("fragment", **cast("Circumstances", {**PLACE, **changed}))


@st.composite
def swaps(draw: st.DrawFn) -> tuple[dict[str, object], dict[str, object]]:
    """Two fields with different bytes, and the same two with their bytes exchanged."""
    one, other = draw(st.permutations(sorted(PLACE)))[:2]
    if "last" in (one, other):
        # One byte each; beside the flag, an index of 0 or 1 is as near as four bytes come.
        octets = st.sampled_from([b"\x00", b"\x01"])
    else:
        length = 4 if "chunk_index" in (one, other) else draw(st.integers(1, 6))
        octets = st.text("abcdef", min_size=length, max_size=length).map(str.encode)
    left, right = draw(st.lists(octets, min_size=2, max_size=2, unique=True))
    before = {one: as_field(one, left), other: as_field(other, right)}
    after = {one: as_field(one, right), other: as_field(other, left)}
    return before, after


class TestContext:
    def test_its_bytes_do_not_change(self) -> None:
        assert moved(chunk_index=258, last=True) == (
            b"habeas/v1/fragment\x00"
            b"\x00\x04acme"
            b"\x00\x10" + bytes(range(16)) + b"\x00\x0eEXP-2026-00412"
            b"\x00\x04shop"
            b"\x00\x06orders"
            b"\x00\x10" + b"\x01" * 16 + b"\x00\x04\x00\x00\x01\x02"
            b"\x00\x01\x01"
            b"\x00\x08" + b"\x02" * 8
        )

    @given(swapped=swaps())
    @settings(deadline=None, max_examples=300)
    def test_swapping_any_two_fields_makes_opening_fail(
        self, swapped: tuple[dict[str, object], dict[str, object]]
    ) -> None:
        before, after = swapped
        blob = envelope.seal(KEY, KEY_ID, b"row", moved(**before))

        assert envelope.open_sealed(KEY, blob, moved(**before)) == b"row"
        with pytest.raises(Tampered, match="commitment"):
            envelope.open_sealed(KEY, blob, moved(**after))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tenant", "acmf"),
            ("subject_ref", bytes(16)),
            ("request_id", "EXP-2026-00413"),
            ("source", "shop2"),
            ("section", "order"),
            ("run_id", b"\x01" * 15),
            ("chunk_index", 4),
            ("last", True),
            ("schema_fingerprint", b""),
        ],
    )
    def test_every_field_counts(self, name: str, value: object) -> None:
        blob = envelope.seal(KEY, KEY_ID, b"row", moved())

        with pytest.raises(Tampered, match="commitment"):
            envelope.open_sealed(KEY, blob, moved(**{name: value}))

    def test_the_kind_counts(self) -> None:
        assert context("vault", **PLACE) != context("fragment", **PLACE)

    def test_what_moves_over_the_edge_of_a_field_is_seen(self) -> None:
        assert moved(source="sho", section="porders") != moved(source="shop", section="orders")

    @pytest.mark.parametrize("kind", ["", "a\0", "\0"])
    def test_a_kind_is_never_empty_nor_ends_early(self, kind: str) -> None:
        with pytest.raises(ValueError, match="kind"):
            context(kind, **PLACE)

    @pytest.mark.parametrize("index", [-1, 1 << 32])
    def test_an_index_fits_into_four_bytes(self, index: int) -> None:
        with pytest.raises(ValueError, match="32 bits"):
            moved(chunk_index=index)

    def test_the_largest_index_and_the_longest_field_fit(self) -> None:
        assert b"\x00\x04\xff\xff\xff\xff" in moved(chunk_index=(1 << 32) - 1)
        assert b"\xff\xffaaa" in moved(section="a" * 65_535)

    def test_a_longer_field_is_refused_rather_than_cut(self) -> None:
        with pytest.raises(ValueError, match="65 535"):
            moved(section="a" * 65_536)


class TestBlob:
    def test_it_begins_with_the_header_in_the_clear(self) -> None:
        blob = envelope.seal(KEY, KEY_ID, b"row", moved())

        assert blob[:21] == b"HBS1\x01" + KEY_ID
        assert envelope.key_id_of(blob) == KEY_ID
        assert envelope.key_id_of(blob[:21]) == KEY_ID

    def test_behind_the_header_lies_the_standard_format(self) -> None:
        blob = envelope.seal(KEY, KEY_ID, b"row", moved())

        assert chunked.open_sealed(KEY, blob[envelope.HEADER_BYTES :], moved()) == b"row"

    @pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 524_288])
    def test_its_size_is_known_in_advance(self, size: int) -> None:
        blob = envelope.seal(KEY, KEY_ID, bytes(size), moved())

        assert envelope.ciphertext_size(size) == len(blob)
        assert envelope.plaintext_size(len(blob)) == size

    def test_no_blob_is_shorter_than_its_overhead(self) -> None:
        with pytest.raises(Tampered):
            envelope.plaintext_size(envelope.ciphertext_size(0) - 1)

    def test_the_salt_is_what_entropy_gives(self) -> None:
        blobs = {envelope.seal(KEY, KEY_ID, b"row", moved(), entropy=bytes) for _ in range(2)}

        assert len(blobs) == 1

    @pytest.mark.parametrize("length", [0, 15, 17])
    def test_a_key_id_has_sixteen_bytes(self, length: int) -> None:
        with pytest.raises(ValueError, match="16 bytes"):
            envelope.seal(KEY, bytes(length), b"row", moved())

    @pytest.mark.parametrize("index", range(4))
    def test_another_magic_is_not_ours(self, index: int) -> None:
        blob = bytearray(envelope.seal(KEY, KEY_ID, b"row", moved()))
        blob[index] ^= 1

        with pytest.raises(Tampered, match="header"):
            envelope.open_sealed(KEY, blob, moved())

    @pytest.mark.parametrize("suite", [0, 2, 255])
    def test_an_unknown_suite_is_not_tried(self, suite: int) -> None:
        blob = bytearray(envelope.seal(KEY, KEY_ID, b"row", moved()))
        blob[4] = suite

        with pytest.raises(Tampered, match="suite"):
            envelope.open_sealed(KEY, blob, moved())

    @pytest.mark.parametrize("length", [0, 4, 20])
    def test_a_cut_header_is_refused(self, length: int) -> None:
        blob = envelope.seal(KEY, KEY_ID, b"row", moved())

        with pytest.raises(Tampered, match="header"):
            envelope.key_id_of(blob[:length])

    def test_a_header_reads_as_it_was_written(self) -> None:
        header = Header(key_id=KEY_ID)

        assert Header.decode(header.encode()) == header
        assert Header.decode(replace(header, key_id=bytes(16)).encode()) != header

    def test_it_opens_by_range(self) -> None:
        blob = envelope.seal(KEY, KEY_ID, bytes(range(256)) * 200, moved())

        opened = envelope.opened(KEY, moved(), whole(blob), len(blob))

        assert opened.size == 51_200
        assert opened.read(30_000, 40_000) == (bytes(range(256)) * 200)[30_000:40_000]

    def test_it_opens_as_a_stream_behind_its_header(self) -> None:
        encryptor = envelope.encrypting(KEY, KEY_ID, moved())
        blob = encryptor.update(b"one ") + encryptor.update(b"row") + encryptor.finish()
        decryptor = Decryptor(KEY, moved())

        plaintext = decryptor.update(blob[envelope.HEADER_BYTES :]) + decryptor.finish()

        assert plaintext == b"one row"

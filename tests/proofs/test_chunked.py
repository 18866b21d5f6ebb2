import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import chunked
from proofs.chunked import (
    CHUNK_BYTES,
    PREAMBLE_BYTES,
    SALT_BYTES,
    SEALED_CHUNK_BYTES,
    TAG_BYTES,
    Decryptor,
    Encryptor,
    Opened,
    ciphertext_size,
    open_sealed,
    plaintext_size,
    seal,
    whole,
)
from proofs.failures import Tampered

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
CONTEXT = b"where it belongs"
GOLDEN = (
    "8b92f011f28b44e763b52747167ae39d53a9b64952d998a21ce3bb0c86f49f38"
    "4f76b18d44289cd3e6a878140c07cbd048a82433ba3fb596787e98"
)
EDGES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]

sizes = st.one_of(st.sampled_from(EDGES), st.integers(0, 4 * CHUNK_BYTES))
unhurried = settings(deadline=None, max_examples=60)


def message(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def cut(octets: bytes, lengths: Iterable[int]) -> list[bytes]:
    """The octets in pieces of these lengths, over and over."""
    pieces, rounds, start = [], itertools.cycle(lengths), 0
    while start < len(octets):
        length = next(rounds)
        pieces.append(octets[start : start + length])
        start += length
    return pieces


def sealed_chunks(blob: bytes) -> list[bytes]:
    return cut(blob[PREAMBLE_BYTES:], [SEALED_CHUNK_BYTES])


def in_pieces(blob: bytes, lengths: Iterable[int]) -> chunked.Reader:
    lengths = list(lengths)
    return lambda start, end: iter(cut(blob[start:end], lengths))


class TestSealing:
    @pytest.mark.parametrize("size", EDGES)
    def test_what_was_sealed_opens(self, size: int) -> None:
        blob = seal(KEY, message(size), CONTEXT)

        assert open_sealed(KEY, blob, CONTEXT) == message(size)

    def test_the_bytes_of_the_format_do_not_change(self) -> None:
        salt = bytes(range(100, 124))

        blob = seal(KEY, b"hello world", b"context", entropy=lambda count: salt[:count])

        assert blob[:SALT_BYTES] == salt
        assert blob[SALT_BYTES:].hex() == GOLDEN

    def test_a_message_never_meets_a_salt_again(self) -> None:
        salts = {seal(KEY, b"same", CONTEXT)[:SALT_BYTES] for _ in range(100)}

        assert len(salts) == 100

    def test_the_salt_is_what_entropy_gives(self) -> None:
        asked = []

        def entropy(count: int) -> bytes:
            asked.append(count)
            return b"\x07" * count

        blob = seal(KEY, b"", CONTEXT, entropy=entropy)

        assert asked == [SALT_BYTES]
        assert blob.startswith(b"\x07" * SALT_BYTES)

    def test_a_stingy_source_of_entropy_is_refused(self) -> None:
        with pytest.raises(ValueError, match="24 bytes"):
            seal(KEY, b"", CONTEXT, entropy=lambda count: b"\x07" * (count - 1))

    @pytest.mark.parametrize("length", [0, 16, 31, 33])
    def test_a_key_of_another_length_is_a_mistake_of_the_caller(self, length: int) -> None:
        key = bytes(length)
        blob = seal(KEY, b"", CONTEXT)

        with pytest.raises(ValueError, match="32 bytes"):
            seal(key, b"", CONTEXT)
        with pytest.raises(ValueError, match="32 bytes"):
            Decryptor(key, CONTEXT)
        with pytest.raises(ValueError, match="32 bytes"):
            Opened(key, CONTEXT, whole(blob), len(blob))

    def test_keys_and_messages_may_lie_in_any_buffer(self) -> None:
        blob = seal(bytearray(KEY), memoryview(message(20_000)), CONTEXT)

        assert open_sealed(memoryview(KEY), bytearray(blob), CONTEXT) == message(20_000)


class TestAgainstAnotherImplementation:
    """`cryptography` 50 and later ships the same format, written by others in Rust."""

    @pytest.mark.parametrize("size", EDGES)
    def test_theirs_opens_what_ours_sealed(self, size: int) -> None:
        theirs = pytest.importorskip("cryptography.cobblestone", reason="cryptography < 50")
        decryptor = theirs.Cobblestone256Decryptor(KEY, CONTEXT)

        plaintext = decryptor.update(seal(KEY, message(size), CONTEXT)) + decryptor.finalize()

        assert plaintext == message(size)

    @pytest.mark.parametrize("size", EDGES)
    def test_ours_opens_what_theirs_sealed(self, size: int) -> None:
        theirs = pytest.importorskip("cryptography.cobblestone", reason="cryptography < 50")
        encryptor = theirs.Cobblestone256Encryptor(KEY, CONTEXT)

        blob = encryptor.update(message(size)) + encryptor.finalize()

        assert open_sealed(KEY, blob, CONTEXT) == message(size)
        assert len(blob) == ciphertext_size(size)


class TestSizes:
    @given(size=sizes)
    @unhurried
    def test_the_size_of_a_ciphertext_is_known_in_advance(self, size: int) -> None:
        assert ciphertext_size(size) == len(seal(KEY, bytes(size), CONTEXT))

    @given(size=st.integers(0, 1 << 52))
    def test_the_two_sizes_are_inverse(self, size: int) -> None:
        if size < chunked.CHUNKS_MAX * CHUNK_BYTES:
            assert plaintext_size(ciphertext_size(size)) == size

    def test_lengths_that_no_message_has_are_refused(self) -> None:
        lengths = range(PREAMBLE_BYTES + 2 * SEALED_CHUNK_BYTES + 40)
        valid = {ciphertext_size(size) for size in range(2 * CHUNK_BYTES + 40)}

        for length in set(lengths) - valid:
            with pytest.raises(Tampered):
                plaintext_size(length)
        for length in valid & set(lengths):
            assert ciphertext_size(plaintext_size(length)) == length

    def test_a_message_of_four_pebibytes_is_one_byte_too_long(self) -> None:
        limit = 4 << 50

        assert plaintext_size(ciphertext_size(limit - 1)) == limit - 1
        with pytest.raises(Tampered):
            plaintext_size(ciphertext_size(limit))

    def test_no_size_is_negative(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            ciphertext_size(-1)

    def test_chunk_numbers_end_before_they_reach_the_random_part_of_the_nonce(self) -> None:
        cipher = chunked._Cipher(KEY, bytes(SALT_BYTES), CONTEXT)
        sealed = cipher.seal(b"last", chunked.CHUNKS_MAX - 1)

        assert cipher.open(sealed, chunked.CHUNKS_MAX - 1) == b"last"
        with pytest.raises(ValueError, match="chunks"):
            cipher.seal(b"", chunked.CHUNKS_MAX)
        with pytest.raises(Tampered, match="length"):
            cipher.open(sealed, chunked.CHUNKS_MAX)


class TestStreams:
    @given(size=sizes, lengths=st.lists(st.integers(1, 40_000), min_size=1, max_size=5))
    @unhurried
    def test_how_a_message_is_cut_on_the_way_in_does_not_matter(
        self, size: int, lengths: list[int]
    ) -> None:
        encryptor = Encryptor(KEY, CONTEXT, entropy=bytes)

        parts = [encryptor.update(piece) for piece in cut(message(size), lengths)]
        blob = b"".join([*parts, encryptor.finish()])

        assert blob == seal(KEY, message(size), CONTEXT, entropy=bytes)

    @given(size=sizes, lengths=st.lists(st.integers(1, 40_000), min_size=1, max_size=5))
    @unhurried
    def test_how_a_ciphertext_is_cut_on_the_way_in_does_not_matter(
        self, size: int, lengths: list[int]
    ) -> None:
        decryptor = Decryptor(KEY, CONTEXT)

        parts = [
            decryptor.update(piece) for piece in cut(seal(KEY, message(size), CONTEXT), lengths)
        ]

        assert b"".join([*parts, decryptor.finish()]) == message(size)

    def test_a_ciphertext_may_come_byte_by_byte(self) -> None:
        decryptor = Decryptor(KEY, CONTEXT)

        parts = [decryptor.update(byte) for byte in cut(seal(KEY, b"hello", CONTEXT), [1])]

        assert b"".join([*parts, decryptor.finish()]) == b"hello"

    def test_a_prefix_goes_out_first_and_once(self) -> None:
        encryptor = Encryptor(KEY, CONTEXT, prefix=b"front")

        blob = encryptor.update(b"a") + encryptor.update(b"b") + encryptor.finish()

        assert blob.startswith(b"front")
        assert open_sealed(KEY, blob[5:], CONTEXT) == b"ab"

    def test_a_full_chunk_leaves_at_once(self) -> None:
        encryptor = Encryptor(KEY, CONTEXT)

        ready = encryptor.update(message(CHUNK_BYTES))

        assert len(ready) == PREAMBLE_BYTES + SEALED_CHUNK_BYTES
        assert len(encryptor.finish()) == TAG_BYTES

    def test_nothing_leaves_before_its_chunk_is_authenticated(self) -> None:
        blob = seal(KEY, message(CHUNK_BYTES), CONTEXT)
        decryptor = Decryptor(KEY, CONTEXT)

        assert decryptor.update(blob[: PREAMBLE_BYTES + SEALED_CHUNK_BYTES - 1]) == b""
        assert decryptor.update(blob[PREAMBLE_BYTES + SEALED_CHUNK_BYTES - 1 :]) == message(
            CHUNK_BYTES
        )
        assert decryptor.finish() == b""

    def test_a_finished_message_takes_no_more(self) -> None:
        encryptor = Encryptor(KEY, CONTEXT)
        blob = encryptor.finish()
        decryptor = Decryptor(KEY, CONTEXT)
        decryptor.update(blob)
        decryptor.finish()

        uses: list[Callable[[], bytes]] = [
            lambda: encryptor.update(b""),
            encryptor.finish,
            lambda: decryptor.update(b""),
            decryptor.finish,
        ]
        for use in uses:
            with pytest.raises(ValueError, match="finished"):
                use()

    @pytest.mark.parametrize("keep", [0, PREAMBLE_BYTES])
    def test_after_a_failure_a_decryptor_is_of_no_use(self, keep: int) -> None:
        blob = seal(KEY, message(CHUNK_BYTES), CONTEXT)
        decryptor = Decryptor(KEY, CONTEXT)
        decryptor.update(blob[:keep])
        with pytest.raises(Tampered):
            decryptor.update(bytes(len(blob)))

        with pytest.raises(ValueError, match="finished"):
            decryptor.update(blob[keep:])
        with pytest.raises(ValueError, match="finished"):
            decryptor.finish()


THREE_CHUNKS = seal(KEY, message(2 * CHUNK_BYTES + 100), CONTEXT)


def read_by_range(blob: bytes) -> bytes:
    opened = Opened(KEY, CONTEXT, whole(blob), len(blob))
    return opened.read(0, opened.size)


class TestTampering:
    def test_another_key_does_not_open(self) -> None:
        with pytest.raises(Tampered, match="commitment"):
            open_sealed(OTHER_KEY, THREE_CHUNKS, CONTEXT)

    @pytest.mark.parametrize("context", [b"", CONTEXT[:-1], CONTEXT + b"\0", b"elsewhere"])
    def test_another_context_does_not_open(self, context: bytes) -> None:
        with pytest.raises(Tampered, match="commitment"):
            open_sealed(KEY, THREE_CHUNKS, context)

    @given(data=st.data())
    @unhurried
    def test_no_bit_can_be_flipped(self, data: st.DataObject) -> None:
        index = data.draw(st.one_of(st.integers(0, 80), st.integers(0, len(THREE_CHUNKS) - 1)))
        altered = bytearray(THREE_CHUNKS)
        altered[index] ^= 1 << data.draw(st.integers(0, 7))

        with pytest.raises(Tampered):
            open_sealed(KEY, bytes(altered), CONTEXT)
        with pytest.raises(Tampered):
            read_by_range(bytes(altered))

    @given(data=st.data())
    @unhurried
    def test_no_end_can_be_cut_off(self, data: st.DataObject) -> None:
        edges = [
            PREAMBLE_BYTES + count * SEALED_CHUNK_BYTES + rest
            for count in (0, 1, 2)
            for rest in (0, 16)
        ]
        length = data.draw(st.one_of(st.sampled_from(edges), st.integers(0, len(THREE_CHUNKS) - 1)))

        with pytest.raises(Tampered):
            open_sealed(KEY, THREE_CHUNKS[:length], CONTEXT)
        with pytest.raises(Tampered):
            Opened(KEY, CONTEXT, whole(THREE_CHUNKS[:length]), length)

    def test_the_empty_last_chunk_cannot_be_dropped(self) -> None:
        sealed = seal(KEY, message(CHUNK_BYTES), CONTEXT)

        with pytest.raises(Tampered, match="truncated"):
            open_sealed(KEY, sealed[:-TAG_BYTES], CONTEXT)

    @pytest.mark.parametrize("extra", [1, TAG_BYTES, SEALED_CHUNK_BYTES])
    def test_nothing_can_be_appended(self, extra: int) -> None:
        with pytest.raises(Tampered):
            open_sealed(KEY, THREE_CHUNKS + bytes(extra), CONTEXT)

    @pytest.mark.parametrize(
        "order", [(1, 0, 2), (2, 1, 0), (0, 0, 2), (0, 1, 1, 2), (1, 2), (0, 2)]
    )
    def test_chunks_cannot_change_places(self, order: tuple[int, ...]) -> None:
        chunks = sealed_chunks(THREE_CHUNKS)
        altered = THREE_CHUNKS[:PREAMBLE_BYTES] + b"".join(chunks[index] for index in order)

        with pytest.raises(Tampered):
            open_sealed(KEY, altered, CONTEXT)

    def test_a_chunk_of_another_message_under_the_same_key_does_not_fit(self) -> None:
        other = seal(KEY, message(2 * CHUNK_BYTES + 100), CONTEXT)
        chunks = [*sealed_chunks(THREE_CHUNKS)[:2], sealed_chunks(other)[2]]

        with pytest.raises(Tampered, match="chunk"):
            open_sealed(KEY, THREE_CHUNKS[:PREAMBLE_BYTES] + b"".join(chunks), CONTEXT)

    def test_a_failure_says_which_check_and_no_more(self) -> None:
        with pytest.raises(Tampered) as caught:
            open_sealed(OTHER_KEY, THREE_CHUNKS, CONTEXT)

        assert (caught.value.code, str(caught.value)) == ("commitment", "commitment")


class TestRanges:
    @given(
        size=sizes,
        ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
        lengths=st.lists(st.integers(1, 40_000), min_size=1, max_size=4),
    )
    @unhurried
    def test_a_range_equals_the_same_range_of_the_whole(
        self, size: int, ends: tuple[float, float], lengths: list[int]
    ) -> None:
        blob = seal(KEY, message(size), CONTEXT)
        start, end = sorted(round(size * end) for end in ends)

        opened = Opened(KEY, CONTEXT, in_pieces(blob, lengths), len(blob))

        assert opened.size == size
        assert opened.read(start, end) == message(size)[start:end]

    @pytest.mark.parametrize("start", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES - 1])
    @pytest.mark.parametrize("length", [1, 2, CHUNK_BYTES, CHUNK_BYTES + 1])
    def test_ranges_over_the_edges_of_chunks_are_exact(self, start: int, length: int) -> None:
        size = 4 * CHUNK_BYTES
        blob = seal(KEY, message(size), CONTEXT)

        part = Opened(KEY, CONTEXT, whole(blob), len(blob)).read(start, start + length)

        assert part == message(size)[start : start + length]

    def test_a_range_asks_once_and_only_for_its_chunks(self) -> None:
        blob = seal(KEY, message(5 * CHUNK_BYTES), CONTEXT)
        asked = []

        def reader(start: int, end: int) -> list[bytes]:
            asked.append((start, end))
            return [blob[start:end]]

        opened = Opened(KEY, CONTEXT, reader, len(blob))
        opening, asked = asked, []
        opened.read(CHUNK_BYTES + 5, 3 * CHUNK_BYTES)
        opened.read(7, 7)

        assert opening == [(0, 56), (len(blob) - TAG_BYTES, len(blob))]
        assert asked == [
            (PREAMBLE_BYTES + SEALED_CHUNK_BYTES, PREAMBLE_BYTES + 3 * SEALED_CHUNK_BYTES)
        ]

    def test_a_stream_gives_pieces_as_they_come(self) -> None:
        blob = seal(KEY, message(4 * CHUNK_BYTES + 9), CONTEXT)
        opened = Opened(KEY, CONTEXT, in_pieces(blob, [SEALED_CHUNK_BYTES * 2]), len(blob))

        lengths = [len(piece) for piece in opened.stream(5, opened.size)]

        assert lengths == [2 * CHUNK_BYTES - 5, 2 * CHUNK_BYTES, 9]

    def test_two_streams_of_one_opening_do_not_disturb_each_other(self) -> None:
        size = 4 * CHUNK_BYTES
        blob = seal(KEY, message(size), CONTEXT)
        opened = Opened(KEY, CONTEXT, in_pieces(blob, [SEALED_CHUNK_BYTES]), len(blob))

        pairs = list(zip(opened.stream(0, size), opened.stream(0, size), strict=True))

        assert b"".join(left for left, _ in pairs) == message(size)
        assert b"".join(right for _, right in pairs) == message(size)

    @pytest.mark.parametrize(("start", "end"), [(-1, 0), (0, 11), (6, 5), (11, 11)])
    def test_a_range_outside_the_message_is_a_mistake_of_the_caller(
        self, start: int, end: int
    ) -> None:
        blob = seal(KEY, message(10), CONTEXT)
        opened = Opened(KEY, CONTEXT, whole(blob), len(blob))

        with pytest.raises(ValueError, match="outside"):
            opened.read(start, end)

    @pytest.mark.parametrize("context", [b"", b"elsewhere"])
    def test_a_range_needs_the_context_too(self, context: bytes) -> None:
        blob = seal(KEY, message(10), CONTEXT)

        with pytest.raises(Tampered, match="commitment"):
            Opened(KEY, context, whole(blob), len(blob))

    def test_a_store_that_gives_less_than_asked_is_caught(self) -> None:
        blob = seal(KEY, message(4 * CHUNK_BYTES), CONTEXT)
        cut_short = False
        opened = Opened(
            KEY,
            CONTEXT,
            lambda start, end: (blob[start : end - SEALED_CHUNK_BYTES * cut_short],),
            len(blob),
        )
        cut_short = True

        with pytest.raises(Tampered, match="length"):
            opened.read(0, 3 * CHUNK_BYTES)

    @pytest.mark.parametrize(
        "surplus", [[1], [SEALED_CHUNK_BYTES], [SEALED_CHUNK_BYTES, 2 * SEALED_CHUNK_BYTES]]
    )
    def test_a_store_that_gives_more_than_asked_is_caught(self, surplus: list[int]) -> None:
        blob = seal(KEY, message(6 * CHUNK_BYTES), CONTEXT)
        more: list[int] = []

        def reader(start: int, end: int) -> Iterator[bytes]:
            yield blob[start:end]
            for length in more:
                yield blob[end : end + length]
                end += length

        opened = Opened(KEY, CONTEXT, reader, len(blob))
        more += surplus
        stream = opened.stream(0, CHUNK_BYTES)

        assert next(stream) == message(6 * CHUNK_BYTES)[:CHUNK_BYTES]
        with pytest.raises(Tampered, match="length"):
            next(stream)

    def test_a_store_that_gives_no_preamble_is_caught(self) -> None:
        blob = seal(KEY, message(10), CONTEXT)

        with pytest.raises(Tampered, match="truncated"):
            Opened(KEY, CONTEXT, lambda start, end: (), len(blob))

    def test_a_store_cannot_pass_a_beginning_off_as_the_whole(self) -> None:
        blob = seal(KEY, message(3 * CHUNK_BYTES), CONTEXT)
        shorter = PREAMBLE_BYTES + SEALED_CHUNK_BYTES + TAG_BYTES

        with pytest.raises(Tampered, match="chunk"):
            Opened(KEY, CONTEXT, whole(blob[:shorter]), shorter)


def test_opening_random_bytes_always_ends_in_a_verdict() -> None:
    for size in (*range(100), CHUNK_BYTES, 3 * CHUNK_BYTES):
        with pytest.raises(Tampered):
            open_sealed(KEY, os.urandom(size), CONTEXT)

"""Fragments come back as they were packed, and nothing else is taken for one."""

import struct

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from schemas.fragments import (
    END,
    FILE,
    PLAINTEXT_BYTES_MAX,
    ROWS,
    BadFragmentError,
    FragmentHeader,
    pack,
    unpack,
)

HEADER = FragmentHeader(kind=ROWS, section="entries")
ROW = b'{"mood": "calm"}\n'
COUNTS = st.dictionaries(st.sampled_from(["entries", "analyses"]), st.integers(0, 10**9))
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
HEADERS = st.builds(
    FragmentHeader,
    kind=st.sampled_from([ROWS, FILE, END]),
    section=NAMES,
    file=st.integers(0, 10**6),
    file_name=NAMES,
    media_type=NAMES,
    is_last=st.booleans(),
    records=COUNTS,
    files=COUNTS,
    titles=st.dictionaries(NAMES, NAMES, max_size=3),
)


@given(header=HEADERS, payload=st.binary(max_size=2000))
def test_a_fragment_comes_back_as_it_was_packed(header: FragmentHeader, payload: bytes) -> None:
    assert unpack(pack(header, payload)) == (header, payload)


def test_rows_are_packed_smaller_than_they_are() -> None:
    payload = ROW * 1000

    assert len(pack(HEADER, payload)) < len(payload) / 10


def _framed(head: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(struct.pack(">I", len(head)) + head)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"no fragment",
        pack(HEADER, ROW)[:-3],
        _framed(b"{"),
        _framed(b"[]"),
        _framed(orjson.dumps({"kind": ROWS, "ines.almeida@example.org": 1})),
        zstandard.ZstdCompressor().compress(b"\0\0"),
    ],
    ids=["empty", "other bytes", "cut", "no json", "no object", "unknown field", "no length"],
)
def test_what_no_collector_packed_is_refused_without_repeating_it(plaintext: bytes) -> None:
    with pytest.raises(BadFragmentError) as caught:
        unpack(plaintext)

    assert str(caught.value) in {"malformed", "size"}
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_fragment_that_would_grow_beyond_the_limit_is_not_decompressed() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(PLAINTEXT_BYTES_MAX + 1))

    assert len(bomb) < 1000
    with pytest.raises(BadFragmentError, match="size"):
        unpack(bomb)


def test_a_fragment_that_does_not_say_how_large_it_is_is_refused() -> None:
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(ROW)

    with pytest.raises(BadFragmentError, match="size"):
        unpack(silent)

"""Rows and files, cut into pieces that fit into fragments."""

import os

import pytest

from proofs import envelope
from schemas.fragments import (
    END,
    FILE,
    FRAGMENT_BYTES_MAX,
    ROWS,
    BadFragmentError,
    FragmentHeader,
    pack,
    unpack,
)
from services.collectors.framing import PAYLOAD_BYTES, Frame, Tally, cut_file, cut_lines


def lines(count: int, width: int = 100) -> list[bytes]:
    return [b"%d%s\n" % (i, b"x" * width) for i in range(count)]


def test_the_payloads_of_a_section_are_its_lines_put_end_to_end() -> None:
    blocks = lines(20_000)

    payloads = list(cut_lines(blocks))

    assert b"".join(payloads) == b"".join(blocks)
    assert len(payloads) > 1
    assert all(len(p) <= PAYLOAD_BYTES and p.endswith(b"\n") for p in payloads)


def test_a_line_too_long_for_one_payload_goes_on_in_the_next() -> None:
    blocks = [b"short\n", b"y" * (2 * PAYLOAD_BYTES) + b"\n", b"short\n"]

    payloads = list(cut_lines(blocks))

    assert b"".join(payloads) == b"".join(blocks)
    assert all(len(p) <= PAYLOAD_BYTES for p in payloads)


def test_a_section_without_rows_has_no_payload() -> None:
    assert list(cut_lines([])) == []


@pytest.mark.parametrize("size", [0, 1, PAYLOAD_BYTES, PAYLOAD_BYTES + 1, 3 * PAYLOAD_BYTES])
def test_only_the_last_piece_of_a_file_says_so(size: int) -> None:
    content = os.urandom(size)
    pieces = [content[i : i + 70_000] for i in range(0, size, 70_000)]

    cut = list(cut_file(pieces))

    assert b"".join(payload for payload, _ in cut) == content
    assert [is_last for _, is_last in cut] == [False] * (len(cut) - 1) + [True]


def test_the_end_counts_rows_and_files_of_each_section() -> None:
    tally = Tally()
    frames = [
        *tally.rows("entries", lines(20_000)),
        *tally.rows("photos", []),
        *tally.file("photos", "a.jpg", "image/jpeg", [b"one"]),
        *tally.file("photos", "b.jpg", "image/jpeg", [b"two"]),
    ]

    end = tally.end({"entries/en": "Entries"})

    assert end == Frame(
        FragmentHeader(
            kind=END,
            records={"entries": 20_000, "photos": 0},
            files={"photos": 2},
            titles={"entries/en": "Entries"},
        ),
        b"",
    )
    assert [f.header.kind for f in frames] == [ROWS] * (len(frames) - 2) + [FILE, FILE]
    assert [f.header.file for f in frames[-2:]] == [1, 2]


def test_a_sealed_fragment_stays_within_the_limit_whatever_it_holds() -> None:
    frame = Frame(FragmentHeader(kind=ROWS, section="s" * 60), os.urandom(PAYLOAD_BYTES))

    sealed = envelope.seal(bytes(32), bytes(16), pack(frame.header, frame.payload), b"context")

    assert len(sealed) <= FRAGMENT_BYTES_MAX


def test_what_is_packed_is_unpacked_and_nothing_else_is() -> None:
    header = FragmentHeader(kind=FILE, section="photos", file=1, file_name="Ünïcode 🙂.jpg")

    assert unpack(pack(header, b"payload")) == (header, b"payload")
    with pytest.raises(BadFragmentError):
        unpack(pack(header, b"payload")[:-1])

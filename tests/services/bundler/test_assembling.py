"""Fragments in, members out; a run that no collector writes is refused."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rights.reports import Extent, OffsetRun
from schemas.fragments import END, FILE, ROWS, FragmentHeader
from services.bundler.assembling import Assembled, Assembly
from services.bundler.extents import ExtentUnsoundError
from services.bundler.spool import Spool

Fragment = tuple[FragmentHeader, bytes]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path, 1 << 24, os.urandom) as spool:
        yield spool


def extent(*sections: str) -> Extent:
    return Extent(
        run_id="aa" * 16,
        partition=0,
        runs=(OffsetRun(first=0, last=0),),
        chunks=1,
        ciphertext_sha256=b"",
        watermark="7",
        collected_at=datetime(2026, 3, 2, tzinfo=UTC),
        sections=sections,
    )


def rows(section: str, lines: bytes) -> Fragment:
    return FragmentHeader(kind=ROWS, section=section), lines


def piece(
    section: str, number: int, content: bytes, *, last: bool = True, media_type: str = "image/png"
) -> Fragment:
    header = FragmentHeader(
        kind=FILE,
        section=section,
        file=number,
        file_name=f"{number}.png",
        media_type=media_type,
        is_last=last,
    )
    return header, content


def end(files: dict[str, int] | None = None, **records: int) -> Fragment:
    titles = {"entries/en": "Entries", "entries/de": "Einträge", "other/en": "Other"}
    return FragmentHeader(kind=END, records=records, files=files or {}, titles=titles), b""


def assemble(
    spool: Spool, fragments: list[Fragment], *sections: str, language: str = "en"
) -> Assembled:
    assembly = Assembly(spool, "journal", extent(*sections), language=language, suffix=".json")
    for header, payload in fragments:
        assembly.take(header, payload)
    return assembly.result()


def content(spool: Spool, assembled: Assembled, path: str) -> bytes:
    parts = [p.member for s in assembled.sections for p in s.parts if p.member.path == path]
    return b"".join(spool.content(parts[0]))


@pytest.mark.parametrize(
    "cuts",
    [
        [b'{"a":1}\n{"a":2}\n{"a":3}\n'],
        [b'{"a":1}\n', b'{"a":2}\n', b'{"a":3}\n'],
        [b'{"a"', b":1}\n{", b'"a":2}\n{"a":3}', b"\n"],
    ],
)
def test_rows_become_the_same_array_however_they_were_cut(spool: Spool, cuts: list[bytes]) -> None:
    assembled = assemble(
        spool, [*(rows("entries", cut) for cut in cuts), end(entries=3)], "entries"
    )

    text = content(spool, assembled, "journal/entries.json")
    assert text == b'[\n{"a":1},\n{"a":2},\n{"a":3}\n]\n'
    assert [(s.name, s.records) for s in assembled.sections] == [("entries", 3)]


def test_pieces_of_a_file_are_put_together(spool: Spool) -> None:
    fragments = [
        rows("photos", b"{}\n"),
        piece("photos", 1, b"one ", last=False),
        piece("photos", 1, b"whole"),
        piece("photos", 2, b"two", media_type="application/x-unheard-of"),
        end({"photos": 2}, photos=1),
    ]

    assembled = assemble(spool, fragments, "photos")

    assert content(spool, assembled, "journal/photos/files/0001.png") == b"one whole"
    assert content(spool, assembled, "journal/photos/files/0002.bin") == b"two"
    index = json.loads(content(spool, assembled, "journal/photos/files.json"))
    assert [entry["name"] for entry in index] == ["1.png", "2.png"]


def test_a_section_of_files_only_has_an_empty_list_of_rows(spool: Spool) -> None:
    fragments = [piece("photos", 1, b"one"), end({"photos": 1}, photos=0)]

    assembled = assemble(spool, fragments, "photos")

    assert content(spool, assembled, "journal/photos.json") == b"[]\n"


def test_titles_come_in_the_wished_language_and_what_was_left_out_is_named(spool: Spool) -> None:
    assembled = assemble(spool, [end(entries=0)], "entries", language="de")

    assert assembled.sections[0].title == "Einträge"
    assert assembled.left_out == ("other",)


@pytest.mark.parametrize(
    ("fragments", "code"),
    [
        ([rows("entries", b"{}\n")], "NO_END"),
        ([rows("entries", b"{}\n"), end(entries=2)], "COUNT_DIFFERS"),
        ([rows("entries", b"{}\n"), end()], "COUNT_DIFFERS"),
        ([end(entries=0), rows("entries", b"{}\n")], "AFTER_END"),
        ([end(entries=0), end(entries=0)], "AFTER_END"),
        ([rows("secrets", b"{}\n"), end(secrets=1)], "SECTION_ORDER"),
        ([rows("entries", b"{}"), end(entries=0)], "LINE_CUT"),
        ([piece("entries", 2, b""), end({"entries": 1}, entries=0)], "FILE_ORDER"),
        ([piece("entries", 1, b"", last=False), end({"entries": 1}, entries=0)], "FILE_CUT"),
        (
            [piece("entries", 1, b"", last=False), piece("entries", 2, b"")],
            "FILE_ORDER",
        ),
        ([piece("entries", 1, b""), end({"entries": 2}, entries=0)], "COUNT_DIFFERS"),
        ([piece("entries", 1, b""), rows("entries", b"{}\n")], "SECTION_ORDER"),
        ([(FragmentHeader(kind="other"), b"")], "KIND_UNKNOWN"),
    ],
)
def test_a_run_that_no_collector_writes_is_refused(
    spool: Spool, fragments: list[Fragment], code: str
) -> None:
    with pytest.raises(ExtentUnsoundError, match=code):
        assemble(spool, fragments, "entries")


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "A", "a.b", "x" * 64])
def test_no_name_can_lead_out_of_the_archive(spool: Spool, name: str) -> None:
    with pytest.raises(ExtentUnsoundError, match="NAME_INVALID"):
        assemble(spool, [rows(name, b"{}\n")], name)
    with pytest.raises(ExtentUnsoundError, match="NAME_INVALID"):
        Assembly(spool, name, extent(), language="en", suffix=".json")

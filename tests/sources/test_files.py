"""Files come in pieces, whole, and only to the person they belong to."""

from __future__ import annotations

import psycopg
import pytest

from sources.contract import SourceRefused
from sources.postgres import PostgresSource
from sources.tables.reading import FILE_PIECE_BYTES
from tests.sources.clinic import ADA, BRUNO


def test_the_files_of_a_section_are_listed_with_their_sizes(reader: PostgresSource) -> None:
    page = reader.files(ADA, "letters")

    facts = sorted((f.name, f.media_type, f.size_bytes) for f in page.files)
    assert facts == [
        ("scan 1.bin", "application/octet-stream", 700_000),
        ("scan 2.bin", "application/octet-stream", 700_000),
    ]
    assert page.cursor is None


def test_files_are_listed_page_by_page(reader: PostgresSource) -> None:
    first = reader.files(ADA, "letters", limit=1)
    second = reader.files(ADA, "letters", limit=1, cursor=first.cursor)
    third = reader.files(ADA, "letters", limit=1, cursor=second.cursor)

    assert (*first.files, *second.files) == reader.files(ADA, "letters").files
    assert (third.files, third.cursor) == ((), None)


def test_a_file_comes_whole_in_pieces(reader: PostgresSource) -> None:
    facts = {f.name: f for f in reader.files(ADA, "letters").files}

    pieces = list(reader.open_file(ADA, "letters", facts["scan 2.bin"].ref))

    assert [len(piece) for piece in pieces] == [FILE_PIECE_BYTES, 700_000 - FILE_PIECE_BYTES]
    assert b"".join(pieces) == b"\x02" * 700_000


def test_a_file_of_exactly_one_piece_and_an_empty_one_come_whole(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("DELETE FROM reply")
    database.execute("DELETE FROM letter WHERE patient_id = 'p-1' AND file_name IS NOT NULL")
    for name, size in (("full", FILE_PIECE_BYTES), ("empty", 0)):
        database.execute(
            "INSERT INTO letter (tenant, patient_id, sent_at, body, file_name, media_type, scan) "
            "VALUES ('north', 'p-1', now(), '', %s, 'text/plain', %s)",
            (name, b"z" * size),
        )

    opened = {
        f.name: b"".join(source.open_file(ADA, "letters", f.ref))
        for f in source.files(ADA, "letters").files
    }

    assert opened == {"full": b"z" * FILE_PIECE_BYTES, "empty": b""}


def test_somebody_elses_file_does_not_open(reader: PostgresSource) -> None:
    theirs = reader.files(BRUNO, "letters").files[0]

    with pytest.raises(SourceRefused, match="FILE_UNKNOWN"):
        list(reader.open_file(ADA, "letters", theirs.ref))


def test_a_section_without_files_lists_none_and_opens_none(reader: PostgresSource) -> None:
    assert reader.files(ADA, "visits").files == ()
    with pytest.raises(SourceRefused, match="FILE_UNKNOWN"):
        list(reader.open_file(ADA, "visits", '["1001"]'))


def test_a_file_that_goes_while_it_is_read_is_read_to_its_end(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    facts = source.files(ADA, "letters").files[0]
    pieces = source.open_file(ADA, "letters", facts.ref)
    first = next(pieces)

    database.execute("DELETE FROM reply")
    database.execute("DELETE FROM letter")

    assert len(first) + sum(map(len, pieces)) == facts.size_bytes

"""What comes out: everything of one person, nothing of anybody else, and the same bytes always."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from sources.contract import Handles, Source, SourceRefused, SourceUnavailable
from sources.postgres import PostgresSource
from sources.tables import reading
from tests.sources.clinic import ADA, BRUNO, NAMESAKE, SECTIONS


def exported(source: Source, handles: Handles, section: str, limit: int = 5_000) -> bytes:
    pages, cursor = [], None
    while True:
        page = source.export(handles, section, cursor=cursor, limit=limit)
        assert page.lines.count(b"\n") == page.count <= limit
        pages.append(page.lines)
        cursor = page.cursor
        if cursor is None:
            return b"".join(pages)


def rows(source: Source, handles: Handles, section: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(source, handles, section).splitlines()]


def test_every_row_of_the_person_comes_out(reader: PostgresSource) -> None:
    counts = {section: len(rows(reader, ADA, section)) for section in SECTIONS}

    assert counts == {"visits": 23, "measures": 31, "letters": 6, "replies": 18, "remarks": 9}


def test_exactly_the_declared_columns_come_out(reader: PostgresSource) -> None:
    for described, section in zip(reader.describe().sections, SECTIONS, strict=True):
        assert described.name == section

    assert list(rows(reader, ADA, "visits")[0]) == ["id", "held_on", "price", "notes"]
    assert list(rows(reader, ADA, "letters")[0]) == ["id", "sent_at", "body"]


@pytest.mark.parametrize("other", [BRUNO, NAMESAKE], ids=["of the tenant", "of another tenant"])
def test_nobody_elses_rows_come_out(reader: PostgresSource, other: Handles) -> None:
    for section in SECTIONS:
        ours = {json.dumps(row) for row in rows(reader, ADA, section)}
        theirs = {json.dumps(row) for row in rows(reader, other, section)}

        assert len(ours) == len(theirs) > 0
        if section != "remarks":
            assert not ours & theirs


def test_referring_rows_are_found_through_the_rows_they_refer_to(
    reader: PostgresSource,
) -> None:
    letters = {row["id"] for row in rows(reader, ADA, "letters")}

    assert {row["letter_id"] for row in rows(reader, ADA, "replies")} == letters


@pytest.mark.parametrize("section", SECTIONS)
def test_pages_of_any_size_hold_the_same_bytes(reader: PostgresSource, section: str) -> None:
    whole = b"".join(reader.stream(ADA, section))

    assert whole
    for limit in (1, 2, 7, 23, 31, 5_000):
        assert exported(reader, ADA, section, limit) == whole


def test_a_section_larger_than_a_block_streams_as_the_same_bytes(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute(
        "INSERT INTO visit SELECT 900000 + g, 'north', 'p-1', '2025-01-01', 1, repeat('x', 900) "
        "FROM generate_series(1, 2000) g"
    )

    blocks = list(source.stream(ADA, "visits"))

    assert len(blocks) > 1
    assert all(block.endswith(b"\n") for block in blocks)
    assert max(map(len, blocks)) < reading.BLOCK_BYTES + 10_000
    assert b"".join(blocks) == exported(source, ADA, "visits", 600)


def test_a_page_of_large_rows_is_cut_before_it_outgrows_memory(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute(
        "INSERT INTO visit SELECT 900000 + g, 'north', 'p-1', '2025-01-01', 1, "
        "repeat('x', 3000000) FROM generate_series(1, 4) g"
    )

    first = source.export(ADA, "visits", limit=1_000)

    assert first.count == 23 + 2
    assert len(first.lines) <= reading.PAGE_BYTES_MAX
    assert exported(source, ADA, "visits", 1_000) == b"".join(source.stream(ADA, "visits"))


def test_text_survives_with_every_odd_character(reader: PostgresSource) -> None:
    bodies = {row["body"] for row in rows(reader, ADA, "letters")}

    assert bodies == {
        "tab\tline\nreturn\r back\b form\f vertical\x0b bell\x07",
        "C:\\new\\table \\\\server \\N \\.",
        '"double" \'single\' {"json": true}',
        "Zoë 日本語 🎶 עברית \u2028\x85",
        "",
        "  ",
    }


def test_numbers_empties_and_documents_survive(reader: PostgresSource) -> None:
    lines = exported(reader, ADA, "measures").splitlines()
    by_place = {json.loads(line)["place"]: line for line in lines}

    assert b'"value":"NaN"' in by_place[1]
    assert b'"value":"-Infinity"' in by_place[2]
    assert b'"value":0.30000000000000004' in by_place[3]
    assert json.loads(by_place[4])["value"] is None
    assert b'"big":9223372036854775803' in by_place[4]
    assert json.loads(by_place[4])["raw"] == {"a": "x\né\\", "b": [1, 2]}
    assert json.loads(by_place[4])["parsed"] == {"deep": {"list": [None, True, '"quoted"']}}
    assert b'"price":1.0001' in exported(reader, ADA, "visits")


def test_instants_come_in_utc_with_microseconds(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("ALTER ROLE CURRENT_USER SET timezone = 'Asia/Kathmandu'")
    try:
        measures = {row["place"]: row["taken_at"] for row in rows(source, ADA, "measures")}
        letters = {row["sent_at"] for row in rows(source, ADA, "letters")}
        remarks = {row["written_at"] for row in rows(source, ADA, "remarks")}
    finally:
        database.execute("ALTER ROLE CURRENT_USER RESET timezone")

    assert measures[1] == "2025-03-30T01:30:00.000001+00:00"
    assert "2025-06-02T06:30:00+00:00" in letters
    assert remarks == {"2025-01-01T08:00:00.5"}


def test_an_unknown_person_has_nothing(reader: PostgresSource) -> None:
    stranger = {"tenant": "north", "patient_id": "p-404"}

    assert reader.locate(stranger) is None
    assert all(exported(reader, stranger, section) == b"" for section in SECTIONS)


def test_a_person_is_located_where_they_have_rows(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("DELETE FROM reply")

    located = source.locate(ADA)

    assert located is not None
    assert located.sections == ("visits", "measures", "letters", "remarks")


@pytest.mark.parametrize("handles", [{"tenant": "north"}, {"tenant": "north", "patient_id": ""}])
def test_a_missing_handle_finds_nothing_rather_than_everything(
    reader: PostgresSource, handles: Handles
) -> None:
    assert reader.locate(handles) is None
    assert all(exported(reader, handles, section) == b"" for section in SECTIONS)


def test_rows_without_an_owner_are_nobodys(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("UPDATE visit SET patient_id = ''")

    assert exported(source, {"tenant": "north", "patient_id": ""}, "visits") == b""


def test_a_call_that_forgets_the_tenant_is_refused(reader: PostgresSource) -> None:
    with pytest.raises(SourceRefused, match="TENANT_MISSING"):
        reader.export({"patient_id": "p-1"}, "visits")


@pytest.mark.parametrize(
    ("cursor", "code"),
    [
        ("no json", "CURSOR_INVALID"),
        ("{}", "CURSOR_INVALID"),
        ("[1]", "CURSOR_INVALID"),
        ('["1", "2"]', "CURSOR_INVALID"),
        ('["x"]', "VALUE_INVALID"),
        ('["\\ud800"]', "VALUE_INVALID"),
        ('["\\u0000"]', "VALUE_INVALID"),
    ],
)
def test_a_made_up_cursor_is_refused(reader: PostgresSource, cursor: str, code: str) -> None:
    with pytest.raises(SourceRefused, match=code):
        reader.export(ADA, "visits", cursor=cursor)


def test_a_cursor_cannot_reach_other_peoples_rows(reader: PostgresSource) -> None:
    assert reader.export(ADA, "visits", cursor='["-1"]').count == 23
    assert reader.export(ADA, "visits", cursor='["2000"]').count == 0


@pytest.mark.parametrize("handle", ["x' OR true --", "p-1'; DROP TABLE visit; --", "\\", "%s"])
def test_a_handle_is_a_value_and_never_sql(reader: PostgresSource, handle: str) -> None:
    assert reader.locate({"tenant": "north", "patient_id": handle}) is None
    assert reader.locate(ADA) is not None


def test_an_unknown_section_is_refused(reader: PostgresSource) -> None:
    with pytest.raises(SourceRefused, match="SECTION_UNKNOWN"):
        reader.export(ADA, "dreams")


@pytest.mark.parametrize("limit", [0, -1, 100_001])
def test_a_limit_out_of_bounds_is_refused(reader: PostgresSource, limit: int) -> None:
    with pytest.raises(SourceRefused, match="LIMIT_INVALID"):
        reader.export(ADA, "visits", limit=limit)


def test_all_reads_at_a_snapshot_see_one_moment(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    with source.snapshot() as watermark:
        first = source.export(ADA, "visits", limit=10, watermark=watermark)
        database.execute("DELETE FROM measure")
        database.execute("DELETE FROM visit")
        rest = source.export(ADA, "visits", cursor=first.cursor, limit=50, watermark=watermark)
        measures = b"".join(source.stream(ADA, "measures", watermark=watermark))

    assert (first.count, rest.count, measures.count(b"\n")) == (10, 13, 31)
    assert exported(source, ADA, "visits") == b""


@pytest.mark.parametrize("watermark", ["", "#", "#'; DROP TABLE visit; --", "#00000003-0000001B-1"])
def test_a_watermark_that_nobody_holds_cannot_be_read_at(
    reader: PostgresSource, watermark: str
) -> None:
    with pytest.raises(SourceUnavailable, match="WATERMARK_GONE"):
        reader.export(ADA, "visits", watermark=watermark)


def test_a_snapshot_ends_with_its_block(reader: PostgresSource) -> None:
    with reader.snapshot() as watermark:
        pass

    with pytest.raises(SourceUnavailable, match="WATERMARK_GONE"):
        reader.export(ADA, "visits", watermark=watermark)


def test_what_fails_inside_a_snapshot_is_the_callers(reader: PostgresSource) -> None:
    theirs = psycopg.OperationalError("another database")

    with pytest.raises(psycopg.OperationalError) as caught, reader.snapshot():
        raise theirs

    assert caught.value is theirs


def test_watermarks_sort_as_they_were_taken(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    taken = [source.watermark()]
    for _ in range(3):
        database.execute("UPDATE visit SET notes = notes")
        with source.snapshot() as held:
            taken.append(held)
        taken.append(source.watermark())

    assert taken == sorted(taken)
    assert len(set(taken)) == len(taken)


def test_a_stream_that_is_left_early_frees_its_connection(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute(
        "INSERT INTO visit SELECT 900000 + g, 'north', 'p-1', '2025-01-01', 1, repeat('x', 900) "
        "FROM generate_series(1, 20000) g"
    )
    for _ in range(3):
        stream = source.stream(ADA, "visits")
        next(stream)
        stream.close()  # type: ignore[attr-defined]

    busy = database.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'habeas source' AND state <> 'idle'"
    ).fetchone()
    assert busy == (0,)
    assert source.export(ADA, "visits", limit=1).count == 1

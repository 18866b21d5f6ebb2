"""A declaration against its database: undecided columns are named, misfits refused by pointer."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from sources.contract import DeclarationError
from sources.declaration import parse
from sources.postgres import PostgresSource, column_drift
from sources.tables.mapping import Drift
from tests.sources.clinic import ADA, DECLARATION


def test_a_declaration_that_decides_every_column_has_no_drift(reader: PostgresSource) -> None:
    assert column_drift(reader) == ()


def test_a_new_column_is_drift_until_somebody_decides(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("ALTER TABLE letter ADD COLUMN diagnosis text")
    database.execute("ALTER TABLE measure ADD COLUMN nurse text")

    assert column_drift(source) == (
        Drift(section="measures", table="measure", column="nurse"),
        Drift(section="letters", table="letter", column="diagnosis"),
    )


def test_a_column_that_one_section_of_a_table_decides_is_no_drift_for_the_other(
    standing_dsn: str,
) -> None:
    text = DECLARATION + (
        "  drafts:\n"
        "    title: {en: Drafts}\n"
        "    table: guest_book\n"
        "    match: {tenant: subject.tenant, code: subject.guest_code}\n"
        "    columns: [body]\n"
        "    purpose: keep drafts\n"
        "    erase: delete\n"
    )
    with closing(PostgresSource(parse(text), standing_dsn)) as made:
        assert column_drift(made) == ()


# Lines and pointers of the clinic's declaration.
MISFITS = [
    ("table: guest_book", "table: book", "TABLE_MISSING", "/sections/remarks/table"),
    ("[id, sent_at, body]", "[id, sent]", "COLUMN_MISSING", "/sections/letters/columns/1"),
    ("{room: not personal}", "{rom: nothing}", "COLUMN_MISSING", "/sections/visits/ignore/rom"),
    ("[notes, remark]", "[notes, r]", "COLUMN_MISSING", "/sections/visits/erase/scrub/1"),
    ("mood: null", "mod: null", "COLUMN_MISSING", "/sections/remarks/erase/anonymise/mod"),
    ("bytes: scan", "bytes: scans", "COLUMN_MISSING", "/sections/letters/files"),
    ("from: held_on", "from: held", "COLUMN_MISSING", "/sections/visits/erase/keep"),
    ("from: held_on", "from: notes", "RETENTION_START_NO_DATE", "/sections/visits/erase"),
    ("scrub: [raw]", "scrub: [taken_at]", "SCRUB_IMPOSSIBLE", "/sections/measures/erase/scrub/0"),
    ("mood: null", "code: gone", "ORDER_COLUMN_TREATED", "/sections/remarks/erase"),
    (
        "[id, sent_at, body]\n    files: {name: file_name, media_type: media_type, bytes: scan}",
        "[id, sent_at, scan]",
        "BINARY_COLUMN_EXPORTED",
        "/sections/letters/columns/2",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "pointer"), MISFITS, ids=[f"{m[2]} {m[3]}" for m in MISFITS]
)
def test_each_misfit_is_named_where_it_stands(
    standing_dsn: str, old: str, new: str, code: str, pointer: str
) -> None:
    assert old in DECLARATION
    declared = parse(DECLARATION.replace(old, new, 1), "clinic.source.yaml")
    with (
        closing(PostgresSource(declared, standing_dsn)) as made,
        pytest.raises(DeclarationError) as caught,
    ):
        made.check()

    assert (caught.value.code, caught.value.pointer) == (code, pointer)
    assert caught.value.file == "clinic.source.yaml"
    assert caught.value.line > 1


def test_a_table_without_a_primary_key_is_refused(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("ALTER TABLE guest_book DROP CONSTRAINT guest_book_pkey")

    with pytest.raises(DeclarationError, match="PRIMARY_KEY_MISSING"):
        source.check()


KEPT_LETTERS = """
source: post
owner: team-post
database: ${POST_DSN}
retention:
  ever: {basis: contract, years: 3, from: sent_on}
sections:
  envelopes:
    title: {en: Envelopes}
    table: envelope
    match: {owner: subject.owner}
    columns: [id, letter_id, sent_on]
    purpose: post
    erase: {keep: ever}
  letters:
    title: {en: Letters}
    table: letter
    match: {owner: subject.owner}
    columns: [id]
    purpose: post
    erase: delete
"""


@pytest.mark.parametrize(
    ("action", "fits"),
    [("NO ACTION", False), ("RESTRICT", False), ("CASCADE", False), ("SET NULL", True)],
)
def test_kept_rows_cannot_point_at_rows_that_go(
    postgres_dsn: str, *, action: str, fits: bool
) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute("CREATE TABLE letter (id int PRIMARY KEY, owner text)")
        connection.execute(
            "CREATE TABLE envelope (id int PRIMARY KEY, owner text, sent_on date, "
            f"letter_id int REFERENCES letter (id) ON DELETE {action})".encode()
        )
    scrubbed = KEPT_LETTERS.replace("{keep: ever}", "{keep: ever, scrub: [letter_id]}")

    with closing(PostgresSource(parse(scrubbed), postgres_dsn)) as mended:
        assert mended.check() == ()
    with closing(PostgresSource(parse(KEPT_LETTERS), postgres_dsn)) as made:
        if fits:
            assert made.check() == ()
            return
        with pytest.raises(DeclarationError, match="KEPT_ROWS_REFER_TO_DELETED"):
            made.check()


def test_a_column_dropped_under_a_running_source_is_a_declaration_error(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    assert source.export(ADA, "visits").count == 23
    database.execute("ALTER TABLE visit DROP COLUMN price")

    with pytest.raises(DeclarationError, match="COLUMN_MISSING"):
        source.export(ADA, "visits")
    with pytest.raises(DeclarationError) as caught:
        source.export(ADA, "visits")

    assert caught.value.pointer == "/sections/visits/columns/2"

"""A source that cannot answer says so in a code, and gives nothing of a person or a secret away."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from sources.contract import Source, SourceRefused, SourceUnavailable, Step
from sources.declaration import parse
from sources.postgres import PostgresSource
from sources.tables.connections import Limits
from tests.sources.clinic import ADA, DECLARATION

CANARY = "canary-7731@example.org"
STEP = Step(request_id="request-1", step_id="step-1", fence=1)

CALLS: dict[str, Callable[[Source], object]] = {
    "locate": lambda s: s.locate(ADA),
    "watermark": lambda s: s.watermark(),
    "export": lambda s: s.export(ADA, "visits"),
    "stream": lambda s: list(s.stream(ADA, "visits")),
    "files": lambda s: s.files(ADA, "letters"),
    "open_file": lambda s: list(s.open_file(ADA, "letters", '["x"]')),
    "plan": lambda s: s.plan(ADA),
    "treat": lambda s: s.treat(ADA, STEP),
    "probe": lambda s: s.probe(ADA),
}


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A port that somebody holds and nobody answers on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"postgresql://{CANARY.replace('@', '%40')}:sesame-99@127.0.0.1:{held.getsockname()[1]}/d"


@pytest.mark.parametrize("call", CALLS)
def test_an_unreachable_database_is_unavailable_and_its_secrets_stay(
    nowhere: str, call: str
) -> None:
    with (
        closing(PostgresSource(parse(DECLARATION), nowhere)) as made,
        pytest.raises(SourceUnavailable, match="SOURCE_UNREACHABLE") as caught,
    ):
        CALLS[call](made)

    for secret in (CANARY, "sesame-99", "127.0.0.1", "p-1"):
        assert secret not in told(caught.value).replace(__file__, "")


def test_a_description_needs_no_database(nowhere: str) -> None:
    with closing(PostgresSource(parse(DECLARATION), nowhere)) as made:
        assert made.describe().name == "clinic"


def test_a_connection_string_that_cannot_be_read_is_not_quoted() -> None:
    with (
        closing(PostgresSource(parse(DECLARATION), "sesame-99 is no connection string")) as made,
        pytest.raises(SourceUnavailable, match="SOURCE_MISCONFIGURED") as caught,
    ):
        made.watermark()

    assert "sesame-99 is" not in told(caught.value)


def test_a_database_that_is_not_there_is_unavailable(standing_dsn: str) -> None:
    missing = psycopg.conninfo.make_conninfo(standing_dsn, dbname="no_such_database")
    with (
        closing(PostgresSource(parse(DECLARATION), missing)) as made,
        pytest.raises(SourceUnavailable),
    ):
        made.watermark()


def test_a_server_that_hung_up_on_an_idle_connection_is_not_noticed_by_the_caller(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    assert source.locate(ADA)
    ended = database.execute(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        "WHERE application_name = 'habeas source' AND datname = current_database()"
    ).fetchone()
    assert ended == (1,)

    assert source.locate(ADA)


def test_a_server_that_hangs_up_during_a_read_is_unavailable_and_then_available(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    snapshot = source.snapshot()
    watermark = snapshot.__enter__()
    database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'habeas source' AND datname = current_database()"
    )

    with pytest.raises(SourceUnavailable, match="WATERMARK_GONE"):
        source.export(ADA, "visits", watermark=watermark)
    snapshot.__exit__(None, None, None)
    assert source.export(ADA, "visits").count == 23


def test_a_statement_that_takes_too_long_is_ended(clinic_dsn: str) -> None:
    with (
        closing(
            PostgresSource(
                parse(DECLARATION), clinic_dsn, Limits(statement=timedelta(milliseconds=30))
            )
        ) as made,
        psycopg.connect(clinic_dsn) as other,
    ):
        other.execute("LOCK TABLE letter IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(SourceUnavailable, match="SOURCE_TIMEOUT"):
            made.export(ADA, "letters")


def test_a_handle_of_the_wrong_kind_is_refused_and_not_quoted(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("ALTER TABLE visit ALTER patient_id TYPE bigint USING 1")

    with pytest.raises(SourceRefused, match="VALUE_INVALID") as caught:
        source.export({"tenant": "north", "patient_id": CANARY}, "visits")

    assert CANARY not in told(caught.value)


@pytest.mark.parametrize("handle", ["\ud800", "nul\x00"])
def test_a_handle_that_is_no_text_for_postgres_is_refused(
    reader: PostgresSource, handle: str
) -> None:
    with pytest.raises(SourceRefused, match="VALUE_INVALID"):
        reader.locate({"tenant": "north", "patient_id": handle})


def test_a_refusal_of_the_database_does_not_quote_rows(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    database.execute("UPDATE letter SET body = %s", (CANARY,))
    database.execute(
        "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'cannot delete %', OLD.body; END $$"
    )
    database.execute(
        "CREATE TRIGGER t BEFORE DELETE ON letter FOR EACH ROW EXECUTE FUNCTION never()"
    )

    with pytest.raises(SourceRefused, match="SOURCE_FAULT") as caught:
        source.treat(ADA, STEP)

    assert CANARY not in told(caught.value)


def test_a_role_without_rights_is_access_denied(
    source: PostgresSource, database: psycopg.Connection
) -> None:
    assert source.locate(ADA)
    name = sql.Identifier(database.info.dbname)
    database.execute(sql.SQL("ALTER DATABASE {} SET role = 'pg_monitor'").format(name))
    database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'habeas source' AND datname = current_database()"
    )

    with pytest.raises(SourceUnavailable, match="SOURCE_ACCESS_DENIED"):
        source.locate(ADA)

"""Connections end in time, know UTC, and say "not now" in one way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plumbing.postgres import (
    DatabaseUnavailable,
    connect,
    errors,
    pool,
    unavailable_as_ours,
)


def test_a_connection_knows_utc_and_its_name(postgres_dsn: str) -> None:
    with connect(postgres_dsn, application="habeas keyring") as connection:
        assert connection.execute(b"SHOW timezone").fetchone() == ("UTC",)
        assert connection.execute(b"SHOW application_name").fetchone() == ("habeas keyring",)


def test_a_read_only_connection_cannot_write(postgres_dsn: str) -> None:
    with (
        connect(postgres_dsn, read_only=True) as connection,
        pytest.raises(errors.ReadOnlySqlTransaction),
    ):
        connection.execute(b"CREATE TABLE t (id int)")


def test_a_statement_ends_in_time(postgres_dsn: str) -> None:
    timeout = timedelta(milliseconds=50)
    with (
        connect(postgres_dsn, statement_timeout=timeout) as connection,
        pytest.raises(DatabaseUnavailable),
        unavailable_as_ours(),
    ):
        connection.execute(b"SELECT pg_sleep(10)")


def test_a_pool_commits_what_went_well_and_nothing_else(postgres_dsn: str) -> None:
    with pool(postgres_dsn, 2) as connections:
        with connections.connection() as connection:
            connection.execute(b"CREATE TABLE t (id int)")
        with pytest.raises(errors.DivisionByZero), connections.connection() as connection:
            connection.execute(b"INSERT INTO t VALUES (1); SELECT 1 / 0")
        with connections.connection() as connection:
            assert connection.execute(b"SELECT count(*) FROM t").fetchone() == (0,)


def test_a_pool_replaces_a_connection_that_the_server_ended(postgres_dsn: str) -> None:
    with pool(postgres_dsn, 1) as connections, connect(postgres_dsn, autocommit=True) as other:
        with connections.connection() as connection:
            ended = connection.info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s)", [ended])

        with connections.connection() as connection:
            assert connection.info.backend_pid != ended


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        connect("postgresql://habeas@127.0.0.1:9/none")


def test_a_mistake_of_ours_is_not_unavailability(postgres_dsn: str) -> None:
    with (
        connect(postgres_dsn) as connection,
        pytest.raises(errors.UndefinedTable),
        unavailable_as_ours(),
    ):
        connection.execute(b"SELECT * FROM missing")

"""Migrations go forward once each, whoever starts and however often."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from plumbing.postgres import MigrationRefused, connect, errors, migrate, sql

FIRST = ("0001_views", "CREATE TABLE view (id int PRIMARY KEY); INSERT INTO view VALUES (1)")
SECOND = ("0002_percent", "ALTER TABLE view ADD COLUMN note text DEFAULT '100 % of %s'")


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_migrations_are_applied_in_order_and_once(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection:
        assert migrate(connection, "views", [FIRST, SECOND]) == ("0001_views", "0002_percent")
        assert migrate(connection, "views", [FIRST, SECOND]) == ()

    assert rows(postgres_dsn, "SELECT * FROM views.view") == [(1, "100 % of %s")]


def test_a_new_migration_is_applied_to_what_is_there(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection:
        migrate(connection, "views", [FIRST])
        assert migrate(connection, "views", [FIRST, SECOND]) == ("0002_percent",)


def test_two_schemas_have_their_own_histories(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection:
        assert migrate(connection, "blue", [FIRST]) == ("0001_views",)
        assert migrate(connection, "Green two", [FIRST]) == ("0001_views",)

    assert rows(postgres_dsn, 'SELECT id FROM "Green two".view') == [(1,)]


def test_a_changed_migration_is_refused_and_nothing_is_applied(postgres_dsn: str) -> None:
    changed = (FIRST[0], FIRST[1] + " ")
    with connect(postgres_dsn) as connection:
        migrate(connection, "views", [FIRST])
        with pytest.raises(MigrationRefused, match="0001_views changed"):
            migrate(connection, "views", [changed, SECOND])

    assert rows(postgres_dsn, "SELECT name FROM views.migration") == [("0001_views",)]


def test_a_migration_slipped_in_before_an_applied_one_is_refused(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection:
        migrate(connection, "views", [FIRST, SECOND])
        with pytest.raises(MigrationRefused, match="0001_zz"):
            migrate(connection, "views", [FIRST, ("0001_zz", "SELECT 1"), SECOND])


def test_an_older_program_accepts_a_newer_schema(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection:
        migrate(connection, "views", [FIRST, SECOND])
        assert migrate(connection, "views", [FIRST]) == ()


def test_a_failing_migration_leaves_no_trace_and_the_ones_before_it_stay(
    postgres_dsn: str,
) -> None:
    broken = ("0002_broken", "CREATE TABLE half (id int); SELECT 1 / 0")
    with connect(postgres_dsn) as connection:
        with pytest.raises(errors.DivisionByZero):
            migrate(connection, "views", [FIRST, broken])
        assert migrate(connection, "views", [FIRST, SECOND]) == ("0002_percent",)

    found = rows(postgres_dsn, "SELECT to_regclass('views.half')")
    assert found == [(None,)]


def test_two_starters_at_once_apply_each_migration_once(postgres_dsn: str) -> None:
    slow = ("0001_slow", "SELECT pg_sleep(0.2); CREATE TABLE slow (id int)")
    applied: list[tuple[str, ...]] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        with connect(postgres_dsn) as connection:
            barrier.wait(10)
            applied.append(migrate(connection, "views", [slow, SECOND_ALONE]))

    starters = [threading.Thread(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(30)

    assert sorted(applied) == [(), (), (), ("0001_slow", "0002_alone")]


SECOND_ALONE = ("0002_alone", "CREATE TABLE alone (id int)")


def test_a_folder_is_read_in_order_of_its_names(postgres_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "0002_note.sql").write_text("ALTER TABLE view ADD COLUMN note text")
    (tmp_path / "0001_view.sql").write_text("CREATE TABLE view (id int)")
    (tmp_path / "README.md").write_text("not a migration")

    with connect(postgres_dsn) as connection:
        assert migrate(connection, "views", tmp_path) == ("0001_view", "0002_note")


def test_names_must_rise(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection, pytest.raises(ValueError, match="rising"):
        migrate(connection, "views", [SECOND, FIRST])


def test_the_connection_is_as_it_was(postgres_dsn: str) -> None:
    with connect(postgres_dsn) as connection:
        migrate(connection, "views", [FIRST])
        assert connection.autocommit is False
        assert connection.execute(b"SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute(b"SHOW lock_timeout").fetchone() == ("0",)
        locks = sql.SQL(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        assert connection.execute(locks).fetchone() == (0,)

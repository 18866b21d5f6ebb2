"""Forward-only migrations: a list of named SQL texts, each applied once, in its own transaction.

Rule 1: what was applied never changes: a different checksum stops the start.
Rule 2: two starters are safe: the second waits on an advisory lock and finds nothing to do.
Rule 3: a schema newer than this program is accepted, because releases overlap and migrations only
expand what older programs use; one that lacks something older than what it has is not.

There is no way back: a mistake is mended by the next migration.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from psycopg import Connection, sql
from psycopg.rows import TupleRow

from plumbing import telemetry

_log = telemetry.get(__name__)
_LOCK_SECONDS = 120


class MigrationRefused(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The database's history is not the one this program knows."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations_in(folder: Path | Traversable) -> tuple[Migration, ...]:
    """The .sql files of a folder, in order of their names."""
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    return tuple(
        Migration(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in files
    )


def migrate(
    connection: Connection[TupleRow],
    schema: str,
    source: Path | Traversable | Sequence[tuple[str, str]],
) -> tuple[str, ...]:
    """Bring `schema` up to date; unqualified names in the migrations are of that schema.

    The connection must not be within a transaction. Answers with the names applied by this call.

    Raises:
        MigrationRefused: an applied migration changed, or one is missing before a later one.
    """
    migrations = _in_order(source)
    with _autocommit(connection), _alone(connection, schema):
        _prepare(connection, schema)
        missing = _missing(_applied(connection, schema), migrations)
        for migration in missing:
            _apply(connection, schema, migration)
            _log.info("migrated", schema=schema, migration=migration.name)
    return tuple(migration.name for migration in missing)


def _in_order(source: Path | Traversable | Sequence[tuple[str, str]]) -> tuple[Migration, ...]:
    if isinstance(source, Sequence):
        migrations = tuple(Migration(name, text) for name, text in source)
    else:
        migrations = migrations_in(source)
    names = [migration.name for migration in migrations]
    if names != sorted(set(names)):
        raise ValueError("migrations have rising names, so that their order is no accident")
    return migrations


@contextmanager
def _autocommit(connection: Connection[TupleRow]) -> Iterator[None]:
    before = connection.autocommit
    connection.autocommit = True
    try:
        yield
    finally:
        connection.autocommit = before


@contextmanager
def _alone(connection: Connection[TupleRow], schema: str) -> Iterator[None]:
    # 63 bits of a digest: a collision with another program's lock only makes one wait.
    digest = hashlib.sha256(f"habeas migrations of {schema}".encode()).digest()
    lock = int.from_bytes(digest[:8], "big") >> 1
    connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'".encode())
    connection.execute("SELECT pg_advisory_lock(%s)", [lock])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", [lock])
            connection.execute("RESET lock_timeout")


def _prepare(connection: Connection[TupleRow], schema: str) -> None:
    names = {"schema": sql.Identifier(schema)}
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {schema}").format(**names))
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {schema}.migration ("
            " name text PRIMARY KEY, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        ).format(**names)
    )


def _applied(connection: Connection[TupleRow], schema: str) -> dict[str, str]:
    query = sql.SQL("SELECT name, sha256 FROM {}.migration").format(sql.Identifier(schema))
    return dict(connection.execute(query).fetchall())


def _missing(applied: dict[str, str], known: Sequence[Migration]) -> tuple[Migration, ...]:
    missing = []
    for migration in known:
        sha256 = applied.get(migration.name)
        if sha256 is None:
            missing.append(migration)
        elif sha256 != migration.sha256:
            raise MigrationRefused(f"{migration.name} changed after it was applied")
    if missing and any(name > missing[0].name for name in applied):
        raise MigrationRefused(f"{missing[0].name} is missing before later ones")
    return tuple(missing)


def _apply(connection: Connection[TupleRow], schema: str, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(
            sql.SQL("SET LOCAL search_path TO {}, public").format(sql.Identifier(schema))
        )
        # Bytes without parameters: several statements, and a percent sign is only itself.
        connection.execute(migration.text.encode())
        connection.execute(
            sql.SQL("INSERT INTO {}.migration (name, sha256) VALUES (%s, %s)").format(
                sql.Identifier(schema)
            ),
            [migration.name, migration.sha256],
        )

"""Transactions in the keyring's database.

Rule 1: a write is acknowledged when it is flushed, whatever the server's default (F-22): a key that
sealed something must not be lost with the server, and a deletion not be undone by it.
Rule 2: a database belongs to one key-encryption key and one log; another is refused at the start.
"""

import importlib.resources
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from plumbing.postgres import Connection, TupleRow, connect, migrate, pool, unavailable_as_ours
from services.keyring.store.cipher import EPOCH, Kek

Transaction = Connection[TupleRow]

SCHEMA: Final = "keyring"
_CONNECTIONS: Final = 8
# Callers wait six seconds at most, two of them perhaps for the log.
_PATIENCE_S: Final = 2.0
_STATEMENT_TIMEOUT: Final = timedelta(seconds=3)


class WrongDatabase(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The database is that of another key-encryption key or of another log."""


class Database:
    """Close it when done."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool = pool(
            dsn, _CONNECTIONS, application="habeas keyring", statement_timeout=_STATEMENT_TIMEOUT
        )

    def close(self) -> None:
        self._pool.close()

    def prepare(self, kek: Kek, log_id: str, now: datetime) -> None:
        """Bring the tables up to date and make sure that they are ours.

        Raises:
            WrongDatabase: its rows are wrapped by another key, or belong to another log.
        """
        connection = connect(self._dsn, application="habeas keyring")
        with connection:
            migrate(
                connection, SCHEMA, importlib.resources.files("services.keyring") / "migrations"
            )
        with self.writing() as transaction:
            transaction.execute(
                "INSERT INTO keyring.kek (epoch, fingerprint, log_id, since)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [EPOCH, kek.fingerprint, log_id, now],
            )
            found = transaction.execute(
                "SELECT fingerprint, log_id FROM keyring.kek WHERE epoch = %s", [EPOCH]
            ).fetchone()
        if found is None or bytes(found[0]) != kek.fingerprint:
            raise WrongDatabase("its keys are wrapped by another key-encryption key")
        if found[1] != log_id:
            raise WrongDatabase("it is the keyring of another log")

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Read committed; on disk when this ends without an exception.

        Raises:
            DatabaseUnavailable: nothing is known of what was to be written; repeat it.
        """
        with unavailable_as_ours(), self._pool.connection(timeout=_PATIENCE_S) as connection:
            connection.execute("SET LOCAL synchronous_commit TO on")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One moment of the database, and no writing."""
        with unavailable_as_ours(), self._pool.connection(timeout=_PATIENCE_S) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection

    def answers(self) -> None:
        """Raises DatabaseUnavailable unless the database answers."""
        with self.reading() as transaction:
            transaction.execute("SELECT 1")

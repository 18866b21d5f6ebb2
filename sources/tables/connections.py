"""Connections to one source's database, and the driver's errors in the contract's words.

The driver's own text stays behind: it may quote a row, a handle or the connection string.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

from plumbing.postgres import Connection, DatabaseUnavailable, TupleRow, connect, errors
from sources.contract import DeclarationError, SourceRefused, SourceUnavailable

IDLE_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a source's database may take.

    Long enough for a count over an index, short enough to be noticed. A stream has no limit of
    its own because it also waits for its reader.
    """

    statement: timedelta = timedelta(seconds=60)
    lock: timedelta = timedelta(seconds=5)

    @property
    def session(self) -> bytes:
        return (
            "SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'hex'; "
            f"SET statement_timeout = {_milliseconds(self.statement)}; "
            f"SET lock_timeout = {_milliseconds(self.lock)}"
        ).encode()


DEFAULT_LIMITS = Limits()


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


# SQLSTATE, or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
UNAVAILABLE = {
    "28": "SOURCE_ACCESS_DENIED",
    "42501": "SOURCE_ACCESS_DENIED",
    "3D000": "SOURCE_ACCESS_DENIED",
    "40": "SOURCE_BUSY",
    "53": "SOURCE_BUSY",
    "55P03": "SOURCE_BUSY",
    "57014": "SOURCE_TIMEOUT",
    "25006": "SOURCE_READ_ONLY",
    "08": "SOURCE_UNREACHABLE",
    "57": "SOURCE_UNREACHABLE",
}
REFUSED = {
    "23503": "ROWS_STILL_REFERENCED",
    "23001": "ROWS_STILL_REFERENCED",
    "22": "VALUE_INVALID",
}
OUTDATED = {
    "42P01": ("TABLE_MISSING", "A declared table is gone."),
    "42703": ("COLUMN_MISSING", "A declared column is gone."),
    "42883": ("MATCH_TYPE_DIFFERS", "A matched column and what it is compared with differ."),
    "42804": ("VALUE_TYPE_DIFFERS", "A replacement does not fit its column."),
}


class Connections:
    """Lends connections and keeps a few; none is shared between two borrowers."""

    def __init__(self, dsn: str, limits: Limits) -> None:
        self._dsn = dsn
        self._limits = limits
        self._idle: list[Connection[TupleRow]] = []
        self._lock = Lock()
        self._is_closed = False

    @contextmanager
    def borrow(self) -> Iterator[Connection[TupleRow]]:
        """Lend a connection in autocommit mode, and speak of its errors in the contract's words.

        Raises:
            SourceUnavailable, SourceRefused, DeclarationError: as the driver's error means.
        """
        connection = self.take()
        try:
            with contract_words():
                yield connection
        finally:
            self.give_back(connection)

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._is_closed = self._idle, [], True
        for connection in idle:
            connection.close()

    def take(self) -> Connection[TupleRow]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._opened()
            if not _has_been_left(connection):
                return connection
            connection.close()

    def _opened(self) -> Connection[TupleRow]:
        try:
            connection = connect(self._dsn, application="habeas source", autocommit=True)
        except DatabaseUnavailable as error:
            raise translated(error) from None
        except errors.Error:
            # A connection string that cannot be read; the driver's text would quote it.
            raise SourceUnavailable("SOURCE_MISCONFIGURED") from None
        try:
            connection.execute(self._limits.session)
        except errors.Error as error:
            connection.close()
            raise translated(error) from None
        # Every statement carries its own values, so none would be prepared twice.
        connection.prepare_threshold = None
        return connection

    def give_back(self, connection: Connection[TupleRow]) -> None:
        """Keep it for the next borrower; whatever transaction is left open is rolled back."""
        try:
            if not connection.closed:
                connection.rollback()
        except (errors.Error, DatabaseUnavailable):
            connection.close()
        with self._lock:
            keeps = not (connection.closed or self._is_closed or len(self._idle) >= IDLE_MAX)
            if keeps:
                self._idle.append(connection)
        if not keeps:
            connection.close()


def _has_been_left(connection: Connection[TupleRow]) -> bool:
    """An idle connection that has something to read has been told goodbye by the server."""
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


@contextmanager
def contract_words() -> Iterator[None]:
    """Turn the driver's errors into the contract's, and leave the driver's text behind."""
    try:
        yield
    except (errors.Error, DatabaseUnavailable) as error:
        raise translated(error) from None


def translated(error: BaseException) -> Exception:
    cause = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
    state = getattr(cause, "sqlstate", None) or ""
    for known in (state, state[:2]):
        if known in UNAVAILABLE:
            return SourceUnavailable(UNAVAILABLE[known])
        if known in REFUSED:
            return SourceRefused(REFUSED[known])
        if known in OUTDATED:
            code, sentence = OUTDATED[known]
            return DeclarationError(code, sentence, "Run the check and mend the declaration.")
    if isinstance(cause, errors.OperationalError | errors.InterfaceError) or cause is None:
        return SourceUnavailable("SOURCE_UNREACHABLE")
    if isinstance(cause, errors.DataError):
        return SourceRefused("VALUE_INVALID")
    return SourceRefused("SOURCE_FAULT")

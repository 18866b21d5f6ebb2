"""Connections and pools with the limits that every one of ours has; no statement of anyone's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

Pool = ConnectionPool[Connection[TupleRow]]

_CONNECT_SECONDS = 5


class DatabaseUnavailable(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The server did not answer in time or went away; what became of a statement is not known."""


def connect(
    dsn: str,
    *,
    application: str = "habeas",
    autocommit: bool = False,
    read_only: bool = False,
    statement_timeout: timedelta | None = None,
) -> Connection[TupleRow]:
    """One connection.

    Raises:
        DatabaseUnavailable: nobody answers there, or not to us.
    """
    options = _options(read_only=read_only, statement_timeout=statement_timeout)
    with unavailable_as_ours():
        return psycopg.connect(
            dsn,
            autocommit=autocommit,
            application_name=application,
            connect_timeout=_CONNECT_SECONDS,
            options=options,
        )


def pool(
    dsn: str,
    size: int,
    *,
    application: str = "habeas",
    read_only: bool = False,
    statement_timeout: timedelta | None = None,
) -> Pool:
    """At most `size` connections, made when first needed, checked before each use; close it.

    `with pool.connection() as connection:` commits at the end and rolls back on an exception.
    """
    return ConnectionPool(
        dsn,
        kwargs={
            "application_name": application,
            "connect_timeout": _CONNECT_SECONDS,
            "options": _options(read_only=read_only, statement_timeout=statement_timeout),
        },
        min_size=0,
        max_size=size,
        open=True,
        # A server that restarted leaves dead connections behind; the check replaces them.
        check=ConnectionPool.check_connection,
        timeout=_CONNECT_SECONDS,
        reconnect_timeout=_CONNECT_SECONDS,
        num_workers=1,
    )


@contextmanager
def unavailable_as_ours() -> Iterator[None]:
    """The many ways psycopg has to say "not now", as one; other errors pass as they are."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable from error


def _options(*, read_only: bool, statement_timeout: timedelta | None) -> str:
    settings = ["-c timezone=UTC"]
    if read_only:
        settings.append("-c default_transaction_read_only=on")
    if statement_timeout is not None:
        settings.append(f"-c statement_timeout={int(statement_timeout.total_seconds() * 1000)}")
    return " ".join(settings)

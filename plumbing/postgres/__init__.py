"""Postgres, and the only door to psycopg: connections, pools, forward-only migrations.

What other rooms need of psycopg itself (types, `sql`, row makers, errors) is passed on from here.
"""

from psycopg import Connection, Cursor, errors, sql
from psycopg.rows import TupleRow, dict_row, tuple_row
from psycopg.types.json import Jsonb

from plumbing.postgres.connections import (
    DatabaseUnavailable,
    Pool,
    connect,
    pool,
    unavailable_as_ours,
)
from plumbing.postgres.migrations import Migration, MigrationRefused, migrate, migrations_in

__all__ = [
    "Connection",
    "Cursor",
    "DatabaseUnavailable",
    "Jsonb",
    "Migration",
    "MigrationRefused",
    "Pool",
    "TupleRow",
    "connect",
    "dict_row",
    "errors",
    "migrate",
    "migrations_in",
    "pool",
    "sql",
    "tuple_row",
    "unavailable_as_ours",
]

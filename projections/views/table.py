"""How rows get into a table: COPY, where needed by way of a staging table that replaces.

Knows no view; the statements of a table are put together once for each schema.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import LiteralString

from plumbing.postgres import Connection, Cursor, TupleRow, sql

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    def stage(self, connection: Connection[TupleRow], schema: str) -> None:
        """Make the session's staging table, which `replace` needs."""
        statement = sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {staged} (LIKE {table}) ON COMMIT DELETE ROWS"
        )
        connection.execute(statement.format(staged=_staged(self), table=_named(self, schema)))

    def add(self, cursor: Cursor[TupleRow], schema: str, rows: Iterable[Row]) -> None:
        """Rows that are not there yet."""
        _copy(cursor, _copying(self, _named(self, schema)), rows)

    def replace(
        self,
        cursor: Cursor[TupleRow],
        schema: str,
        rows: Sequence[Row],
        *,
        only_if: LiteralString = "true",
    ) -> None:
        """Rows that may be there, at most one for each key; `only_if` says when theirs gives way."""
        if rows:
            _copy(cursor, _copying(self, _staged(self)), rows)
            cursor.execute(_replacing(self, schema, only_if))


def _copy(cursor: Cursor[TupleRow], statement: sql.Composed, rows: Iterable[Row]) -> None:
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _named(table: Table, schema: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(table.name))


def _staged(table: Table) -> sql.Composed:
    return sql.SQL("pg_temp.{}").format(sql.Identifier(f"staged_{table.name}"))


def _listed(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _copying(table: Table, place: sql.Composed) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(place, _listed(table.columns))


@cache
def _replacing(table: Table, schema: str, only_if: LiteralString) -> sql.Composed:
    rest = [column for column in table.columns if column not in table.key]
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in rest
    )
    statement = sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged}"
        " ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {only_if}"
    )
    return statement.format(
        table=_named(table, schema),
        columns=_listed(table.columns),
        staged=_staged(table),
        key=_listed(table.key),
        changes=changes,
        only_if=sql.SQL(only_if),
    )

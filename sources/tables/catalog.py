"""What the database itself says: columns, types, primary keys, foreign keys.

It reads Postgres' own catalogue, never a row, and knows no declaration.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from plumbing.postgres import Connection, TupleRow, sql

TABLE_COLUMNS = """
SELECT a.attrelid::bigint, a.attname, format_type(a.atttypid, NULL), a.attnotnull,
       array_position(i.indkey::int2[], a.attnum)
FROM pg_attribute a
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

FOREIGN_KEYS = """
SELECT c.conrelid::bigint, c.confrelid::bigint, c.confdeltype::text,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey))
FROM pg_constraint c
WHERE c.contype = 'f' AND c.conrelid = ANY (%(oids)s::oid[]) AND c.confrelid = ANY (%(oids)s::oid[])
  AND c.conrelid <> c.confrelid
ORDER BY c.conrelid, c.confrelid, c.conname
"""

# pg_constraint.confdeltype: what happens to the referring row when the other one is deleted.
SETS_EMPTY = ("n", "d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    type: str
    is_nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    oid: int
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """Rows of one table point at rows of another."""

    referring: int
    referred: int
    columns: tuple[str, ...]
    on_delete: str


def qualified(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def read_table(connection: Connection[TupleRow], name: str) -> Table | None:
    """Describe a table that this connection's role can see."""
    oid = 0
    columns: dict[str, Column] = {}
    key: dict[int, str] = {}
    rows = connection.execute(TABLE_COLUMNS, (qualified(name).as_string(connection),))
    for relation, column, type_name, is_required, position in rows:
        oid = relation
        columns[column] = Column(name=column, type=type_name, is_nullable=not is_required)
        if position is not None:
            key[position] = column
    if not columns:
        return None
    return Table(oid=oid, columns=columns, primary_key=tuple(key[i] for i in sorted(key)))


def foreign_keys(connection: Connection[TupleRow], oids: Collection[int]) -> tuple[ForeignKey, ...]:
    """Name the foreign keys between these tables, but for those of a table on itself."""
    rows = connection.execute(FOREIGN_KEYS, {"oids": list(oids)})
    return tuple(
        ForeignKey(
            referring=referring, referred=referred, columns=tuple(columns), on_delete=on_delete
        )
        for referring, referred, on_delete, columns in rows
    )

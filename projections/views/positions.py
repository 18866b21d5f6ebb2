"""How far each partition of the log was applied.

Rule 1: the row moves in the same transaction as the rows that follow from the decisions.
Rule 2: it moves only from the `last_seq` that the projector left it at: whoever finds another one
was overtaken, and nothing of its batch is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from logbook.following import StartingPoint, WrongLogError
from plumbing.postgres import Connection, Cursor, TupleRow, sql
from projections.database import MOVED
from rights.decisions import EMPTY, Head


class OvertakenError(Exception):
    """Another projector applied these decisions, or the views were exchanged."""


@dataclass(frozen=True, slots=True)
class Step:
    """From the decision that the views hold of a partition to the one they will hold."""

    partition: int
    expected_seq: int
    next_offset: int
    head: Head


def read(
    connection: Connection[TupleRow], schema: str, log_id: str, partitions: Iterable[int]
) -> dict[int, StartingPoint]:
    """Where to take up each partition, noting down those that were never begun.

    Raises:
        WrongLogError: the views were made from another log, or of other partitions.
    """
    wanted = sorted(partitions)
    table = sql.Identifier(schema, "positions")
    query = sql.SQL(
        "SELECT partition, log_id, next_offset, last_seq, head_hash FROM {} ORDER BY partition"
    ).format(table)
    with connection.transaction():
        rows = connection.execute(query).fetchall()
        if not rows:
            connection.cursor().executemany(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, 0, %s, %s) ON CONFLICT DO NOTHING").format(
                    table
                ),
                [(partition, log_id, EMPTY.seq, EMPTY.hash) for partition in wanted],
            )
            rows = connection.execute(query).fetchall()
    if [row[0] for row in rows] != wanted or any(row[1] != log_id for row in rows):
        raise WrongLogError
    return {row[0]: StartingPoint(row[2], Head(row[3], bytes(row[4]))) for row in rows}


def advance(cursor: Cursor[TupleRow], schema: str, steps: Iterable[Step]) -> None:
    """Move each partition on.

    Raises:
        OvertakenError: a partition is not where this projector left it.
    """
    statement = sql.SQL(
        "UPDATE {} SET next_offset = %s, last_seq = %s, head_hash = %s"
        " WHERE partition = %s AND last_seq = %s"
    ).format(sql.Identifier(schema, "positions"))
    for step in steps:
        at = (step.next_offset, step.head.seq, step.head.hash)
        cursor.execute(statement, (*at, step.partition, step.expected_seq))
        if cursor.rowcount != 1:
            raise OvertakenError


def announce(cursor: Cursor[TupleRow], seqs: Mapping[int, int]) -> None:
    """Tell whoever waits how far the serving views are, as soon as this transaction commits."""
    text = ",".join(f"{partition}:{seq}" for partition, seq in seqs.items())
    cursor.execute("SELECT pg_notify(%s, %s)", (MOVED, text))


def seqs(connection: Connection[TupleRow], schema: str) -> Mapping[int, int]:
    """The last decision applied of each partition."""
    query = sql.SQL("SELECT partition, last_seq FROM {}")
    return dict(connection.execute(query.format(sql.Identifier(schema, "positions"))).fetchall())

"""Makes all views again beside the ones that serve, then swaps.

Rule 1: the old views serve and grow until the new ones have overtaken them; a reader never sees a
decision disappear.
Rule 2: the swap is two renames in one transaction. The projector of the old views finds the
positions of the new ones, is overtaken, and opens again.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from plumbing import telemetry
from plumbing.kafka import Connection as Kafka
from plumbing.postgres import Connection, TupleRow, sql, unavailable_as_ours
from plumbing.process import Stop
from projections.database import BEFORE, NEXT, REBUILDING_LOCK, SERVING, prepare, take_lock
from projections.projector import LogIdentity, Projector, open_projector
from projections.views import commands, positions, requests, sections, timeline
from projections.views.table import Table

POLL_S: Final = 0.1
REPORT_EVERY: Final = 100_000
# `next_offset` is left out: it also tells how a reader met control records.
_POSITIONS: Final = Table(
    name="positions",
    columns=("partition", "log_id", "last_seq", "head_hash"),
    key=("partition",),
)
COMPARED: Final = (requests.TABLE, commands.TABLE, timeline.TABLE, sections.TABLE, _POSITIONS)
log = telemetry.get("projections")


class AlreadyRebuildingError(Exception):
    """Two rebuilds would drop each other's work."""


def rebuild(
    kafka: Kafka, connection: Connection[TupleRow], identity: LogIdentity, stop: Stop
) -> bool:
    """Make the views again from the log's start; False if told to stop before the swap.

    Raises:
        AlreadyRebuildingError: somebody else is at it.
    """
    with unavailable_as_ours():
        if not take_lock(connection, REBUILDING_LOCK):
            raise AlreadyRebuildingError
        prepare(connection)
        for leftover in (NEXT, BEFORE):
            _drop(connection, leftover)
        projector = open_projector(kafka, connection, identity, NEXT)
        try:
            if not _overtake(projector, connection, stop):
                return False
        finally:
            projector.follower.close()
        _drop(connection, BEFORE)
    log.info("rebuilt")
    return True


def _overtake(projector: Projector, connection: Connection[TupleRow], stop: Stop) -> bool:
    applied = 0
    ends = projector.follower.ends()
    while not stop.is_set():
        count = projector.step(POLL_S)
        if (applied + count) // REPORT_EVERY > applied // REPORT_EVERY:
            log.info("rebuilding", decisions=applied + count)
        applied += count
        if projector.follower.is_caught_up(ends):
            if _swap(connection):
                return True
            ends = projector.follower.ends()
    return False


def _swap(connection: Connection[TupleRow]) -> bool:
    """Exchange the schemas, unless the serving views are further than the new ones."""
    with connection.transaction():
        # Holds the projector back, and lets readers through.
        lock = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE")
        connection.execute(lock.format(sql.Identifier(SERVING, "positions")))
        old, new = positions.seqs(connection, SERVING), positions.seqs(connection, NEXT)
        if any(new.get(partition, -1) < seq for partition, seq in old.items()):
            return False
        rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
        for name, becomes in ((SERVING, BEFORE), (NEXT, SERVING)):
            connection.execute(rename.format(sql.Identifier(name), sql.Identifier(becomes)))
        positions.announce(connection.cursor(), new)
    return True


def _drop(connection: Connection[TupleRow], schema: str) -> None:
    drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE")
    connection.execute(drop.format(sql.Identifier(schema)))


def digests(connection: Connection[TupleRow], schema: str = SERVING) -> Mapping[str, str]:
    """SHA-256 of each view's rows in the order of their keys: equal logs give equal digests."""
    return {table.name: _digest(connection, schema, table) for table in COMPARED}


def _digest(connection: Connection[TupleRow], schema: str, table: Table) -> str:
    query = sql.SQL("COPY (SELECT {columns} FROM {table} ORDER BY {key}) TO STDOUT").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        table=sql.Identifier(schema, table.name),
        key=sql.SQL(", ").join(map(sql.Identifier, table.key)),
    )
    digest = hashlib.sha256()
    with connection.cursor() as cursor, cursor.copy(query) as rows:
        for row in rows:
            digest.update(row)
    return digest.hexdigest()

"""Applies batches of entries to the views, each in one transaction with the positions.

Rule 1: rows and positions are committed together, so a crash at any point loses or keeps both.
Rule 2: a batch counts only if the positions are where this projector left them; otherwise somebody
else applied it. After any exception the projector is thrown away and opened again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from logbook.following import BATCH, Follower, StartingPoint
from plumbing.failpoints import fp
from plumbing.kafka import Connection as Kafka
from plumbing.postgres import Connection, Cursor, TupleRow, sql, unavailable_as_ours
from projections.database import SERVING, prepare
from projections.folding import Changes, Folding, evolved
from projections.views import commands, positions, requests, sections, timeline
from projections.views.requests import Folded
from rights.decisions import Head
from schemas.log import Entry

_STAGED: Final = (requests.TABLE, commands.TABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIdentity:
    """Which log is projected, and how many partitions it has."""

    log_id: str
    partitions: int


class Projector:
    """One writer of one schema of views. Whoever opened it closes follower and connection."""

    def __init__(
        self,
        follower: Follower,
        connection: Connection[TupleRow],
        starts: Mapping[int, StartingPoint],
        schema: str = SERVING,
    ) -> None:
        self.follower = follower
        self._connection = connection
        self._schema = schema
        self._folding = Folding(self._recall)
        self._heads: dict[int, Head] = {p: start.head for p, start in starts.items()}

    def step(self, timeout: float, max_records: int = BATCH) -> int:
        """Apply what the log holds beyond the views; how many decisions that was.

        Raises:
            OvertakenError: another projector was there before, or the views were exchanged.
            DatabaseUnavailable: whether the batch was kept is not known; the positions tell.
        """
        entries = self.follower.poll(timeout, max_records)
        if entries:
            self.apply(entries)
        return len(entries)

    def apply(self, entries: Sequence[Entry]) -> None:
        with unavailable_as_ours():
            with self._connection.transaction(), self._connection.cursor() as cursor:
                heads = {entry.decision.partition: entry.head for entry in entries}
                # First of all the fence: it also makes a second projector wait here, not later.
                positions.advance(cursor, self._schema, self._steps(heads))
                self._write(cursor, self._folding.fold(entries))
                if self._schema == SERVING:
                    positions.announce(cursor, {p: head.seq for p, head in heads.items()})
                fp("projector.applied")
            fp("projector.committed")
        self._heads |= heads

    def _steps(self, heads: Mapping[int, Head]) -> Iterable[positions.Step]:
        for partition, head in sorted(heads.items()):
            expected_seq = self._heads[partition].seq
            next_offset = self.follower.next_offset(partition)
            yield positions.Step(partition, expected_seq, next_offset, head)

    def _write(self, cursor: Cursor[TupleRow], changes: Changes) -> None:
        schema = self._schema
        timeline.TABLE.add(cursor, schema, changes.timeline)
        requests.TABLE.replace(cursor, schema, changes.request_rows())
        commands.TABLE.replace(
            cursor,
            schema,
            tuple(changes.commands.values()),
            only_if="excluded.verdict <> 'UNREADABLE'",
        )
        sections.write(cursor, schema, changes.outdated_sources(), changes.section_rows())

    def _recall(self, request_ids: Collection[str]) -> Mapping[str, Folded]:
        return recall(self._connection, self._schema, request_ids)


def open_projector(
    kafka: Kafka, connection: Connection[TupleRow], log: LogIdentity, schema: str = SERVING
) -> Projector:
    """A projector that goes on where the views are; makes them if there are none.

    The connection is its alone, and commits by itself what is not within a transaction.

    Raises:
        WrongLogError: the views were made from another log, or of other partitions.
    """
    assert connection.autocommit, "else a batch would be a savepoint of something never committed"
    with unavailable_as_ours():
        prepare(connection, schema)
        # Views can be made again, so the disk need not be waited for: rows and positions of one
        # transaction are lost together or not at all.
        connection.execute("SET synchronous_commit = off")
        for table in _STAGED:
            table.stage(connection, schema)
        starts = positions.read(connection, schema, log.log_id, range(log.partitions))
    follower = Follower(kafka, starts, starts, log_id=log.log_id)
    return Projector(follower, connection, starts, schema)


def recall(
    connection: Connection[TupleRow], schema: str, request_ids: Collection[str]
) -> dict[str, Folded]:
    """Requests folded again from their own events, as the timeline keeps them."""
    wanted = list(request_ids)
    events = timeline.events_of(connection, schema, wanted)
    folded: dict[str, Folded] = {}
    query = sql.SQL(
        "SELECT request_id, tenant_ref, subject_ref, version, partition, seq FROM {}"
        " WHERE request_id = ANY(%s)"
    ).format(sql.Identifier(schema, "requests"))
    for request_id, *rest in connection.execute(query, (wanted,)):
        request = None
        for at, event in events[request_id]:
            request = evolved(request, event, at)
        if request is not None:
            folded[request_id] = Folded(request, *rest)
    return folded

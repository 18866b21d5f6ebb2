"""What a source remembers of destructive steps, in its own database, in the step's transaction.

The highest fence of each request, so that an order which was overtaken can do no harm; and the
totals of each step, so that a call whose reply was lost can be repeated and counts nothing twice.
It holds no handle. A position holds primary keys, and is wiped when the section is finished.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from plumbing.postgres import Connection, TupleRow
from sources.contract import SectionTreated, SourceRefused, Step

TABLES = """
SELECT pg_advisory_xact_lock(7023917704426816801);
CREATE TABLE IF NOT EXISTS habeas_fence (
    source text NOT NULL,
    request_id text NOT NULL,
    fence bigint NOT NULL,
    PRIMARY KEY (source, request_id)
);
CREATE TABLE IF NOT EXISTS habeas_step (
    source text NOT NULL,
    request_id text NOT NULL,
    step_id text NOT NULL,
    section text NOT NULL,
    deleted bigint NOT NULL DEFAULT 0,
    retained bigint NOT NULL DEFAULT 0,
    anonymised bigint NOT NULL DEFAULT 0,
    position text,
    finished boolean NOT NULL DEFAULT false,
    PRIMARY KEY (source, request_id, step_id, section)
);
"""

RAISE_FENCE = """
INSERT INTO habeas_fence AS seen (source, request_id, fence) VALUES (%s, %s, %s)
ON CONFLICT (source, request_id) DO UPDATE SET fence = excluded.fence
WHERE seen.fence < excluded.fence
"""
SEEN_FENCE = "SELECT fence FROM habeas_fence WHERE source = %s AND request_id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a step is with one section."""

    section: str
    deleted: int = 0
    retained: int = 0
    anonymised: int = 0
    position: str | None = None
    is_finished: bool = False

    @property
    def treated(self) -> SectionTreated:
        return SectionTreated(
            section=self.section,
            deleted=self.deleted,
            retained=self.retained,
            anonymised=self.anonymised,
        )


def create_tables(connection: Connection[TupleRow]) -> None:
    exist = connection.execute(
        "SELECT to_regclass('habeas_fence') IS NOT NULL AND to_regclass('habeas_step') IS NOT NULL"
    ).fetchone()
    if not (exist and exist[0]):
        with connection.transaction():
            connection.execute(TABLES.encode())


def raise_fence(connection: Connection[TupleRow], source: str, step: Step) -> None:
    """Note the fence for good, before anything is touched: what fails later was still seen."""
    if _seen(connection, SEEN_FENCE, source, step) < step.fence:
        connection.execute(RAISE_FENCE, (source, step.request_id, step.fence))


def hold_fence(connection: Connection[TupleRow], source: str, step: Step) -> None:
    """Keep every other step of this request out until the transaction ends.

    Raises:
        SourceRefused: a higher fence of this request was seen before (`FENCE_FELL`).
    """
    if _seen(connection, f"{SEEN_FENCE} FOR UPDATE", source, step) != step.fence:
        raise SourceRefused("FENCE_FELL")


def _seen(connection: Connection[TupleRow], query: str, source: str, step: Step) -> int:
    row = connection.execute(query.encode(), (source, step.request_id)).fetchone()
    return int(row[0]) if row else -1


def progress(
    connection: Connection[TupleRow], source: str, step: Step, sections: Sequence[str]
) -> dict[str, Progress]:
    """Tell how far the step is, for every section in the order given."""
    rows = connection.execute(
        "SELECT section, deleted, retained, anonymised, position, finished FROM habeas_step "
        "WHERE source = %s AND request_id = %s AND step_id = %s",
        (source, step.request_id, step.step_id),
    )
    noted = {
        section: Progress(
            section=section,
            deleted=deleted,
            retained=retained,
            anonymised=anonymised,
            position=position,
            is_finished=finished,
        )
        for section, deleted, retained, anonymised, position, finished in rows
    }
    return {name: noted.get(name, Progress(section=name)) for name in sections}


def note(connection: Connection[TupleRow], source: str, step: Step, done: Progress) -> None:
    connection.execute(
        "INSERT INTO habeas_step VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (source, request_id, step_id, section) DO UPDATE SET "
        "deleted = excluded.deleted, retained = excluded.retained, "
        "anonymised = excluded.anonymised, position = excluded.position, "
        "finished = excluded.finished",
        (
            source,
            step.request_id,
            step.step_id,
            done.section,
            done.deleted,
            done.retained,
            done.anonymised,
            None if done.is_finished else done.position,
            done.is_finished,
        ),
    )

"""The SQL of erasure: plan before, delete or scrub or anonymise in batches, probe after.

A batch takes up where the last one ended, in the scan order of its section, so that no batch
walks over the dead rows of those before it. Transactions are the caller's business.
"""

from collections.abc import Sequence
from dataclasses import replace

from plumbing.postgres import Connection, TupleRow, sql
from sources.contract import PlannedItem, Probed
from sources.sections import HandleMatch
from sources.tables.ledger import Progress
from sources.tables.matching import Rows, column

BATCH = """
WITH batch AS MATERIALIZED (
    SELECT {order}, {position} AS habeas_position
    FROM {table} WHERE {condition} ORDER BY {order} LIMIT {limit}
), done AS ({act} RETURNING 1)
SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM batch), (
    SELECT habeas_position FROM batch
    OFFSET (SELECT greatest(count(*) - 1, 0) FROM batch) LIMIT 1
)
"""


def treat(
    connection: Connection[TupleRow], rows: Rows, progress: Progress, limit: int
) -> tuple[Progress, int]:
    """Treat the next rows of a section, at most `limit`; tell how far it is and how many it took."""
    treatment = rows.mapped.section.treatment
    taken = 0
    if treatment.name == "delete" or rows.mapped.replacements:
        done, taken, position = _batch(connection, rows, progress.position, limit)
        progress = replace(
            progress,
            deleted=progress.deleted + (done if treatment.name == "delete" else 0),
            anonymised=progress.anonymised + (done if treatment.name == "anonymise" else 0),
            position=position or progress.position,
        )
    if taken == limit:
        return progress, taken
    retained = _count(connection, rows) if treatment.name == "retain" else 0
    return replace(progress, retained=retained, is_finished=True), taken


def _batch(
    connection: Connection[TupleRow], rows: Rows, position: str | None, limit: int
) -> tuple[int, int, str | None]:
    condition = rows.after(position)
    if rows.mapped.replacements:
        condition = sql.SQL("{} AND {}").format(condition, _is_untreated(rows))
    statement = sql.SQL(BATCH).format(
        order=rows.order,
        position=rows.position,
        table=rows.table,
        condition=condition,
        limit=sql.Literal(limit),
        act=_act(rows),
    )
    row = connection.execute(statement).fetchone()
    if row is None:
        raise AssertionError("a SELECT of counts has one row")
    done, taken, last = row
    return int(done), int(taken), last


def _act(rows: Rows) -> sql.Composable:
    """Delete or overwrite the rows of the batch that are still the person's when it comes to it."""
    if not rows.mapped.replacements:
        return sql.SQL("DELETE FROM {} USING batch WHERE {}").format(rows.table, _same(rows))
    settings = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in rows.mapped.replacements
    ]
    return sql.SQL("UPDATE {} SET {} FROM batch WHERE {}").format(
        rows.table, sql.SQL(", ").join(settings), _same(rows)
    )


def _same(rows: Rows) -> sql.Composable:
    # Postgres looks at these again if a row changed hands after the batch was chosen.
    terms: list[sql.Composable] = [
        sql.SQL("{} = {}").format(column(name), sql.Identifier("batch", name))
        for name in rows.mapped.order
    ]
    terms.extend(
        sql.SQL("{} = {}").format(column(match.column), sql.Literal(rows.handles.get(match.handle)))
        for match in rows.mapped.section.matches
        if isinstance(match, HandleMatch)
    )
    return sql.SQL(" AND ").join(terms)


def _is_untreated(rows: Rows) -> sql.Composable:
    """Say in SQL that at least one value still stands that erasure overwrites."""
    terms: list[sql.Composable] = []
    for name, value in rows.mapped.replacements:
        if value is None:
            terms.append(sql.SQL("{} IS NOT NULL").format(column(name)))
            continue
        # `json` has no equality; its parsed form has.
        comparable = "{}::jsonb" if rows.mapped.table.columns[name].type == "json" else "{}"
        left = sql.SQL(comparable).format(column(name))
        terms.append(sql.SQL("{} IS DISTINCT FROM {}").format(left, sql.Literal(value)))
    return sql.SQL("({})").format(sql.SQL(" OR ").join(terms))


def _count(connection: Connection[TupleRow], rows: Rows) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(rows.table, rows.condition)
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def plan(connection: Connection[TupleRow], rows: Rows) -> PlannedItem:
    section = rows.mapped.section
    treatment = section.treatment
    latest: sql.Composable = sql.SQL("NULL::date")
    if treatment.counted_from:
        latest = sql.SQL("(max({}) + make_interval(years => {}))::date").format(
            column(treatment.counted_from), sql.Literal(treatment.years)
        )
    query = sql.SQL("SELECT count(*), {} FROM {} WHERE {}").format(
        latest, rows.table, rows.condition
    )
    row = connection.execute(query).fetchone()
    count, latest_end = row or (0, None)
    return PlannedItem(
        section=section.name,
        item_class=section.item_class,
        treatment=treatment.name,
        basis=treatment.basis,
        keep_until=treatment.keep_until,
        scrub=treatment.scrub,
        count=count,
        latest_end=latest_end,
    )


def probe(connection: Connection[TupleRow], rows: Rows) -> Probed:
    """Count what is there: rows that should be gone or overwritten, and rows kept by a rule."""
    left: sql.Composable = sql.SQL("count(*)")
    treatment = rows.mapped.section.treatment
    if rows.mapped.replacements:
        left = sql.SQL("count(*) FILTER (WHERE {})").format(_is_untreated(rows))
    elif treatment.name == "retain":
        left = sql.SQL("0")
    query = sql.SQL("SELECT count(*), {} FROM {} WHERE {}").format(left, rows.table, rows.condition)
    row = connection.execute(query).fetchone()
    found, open_count = row or (0, 0)
    return Probed(
        section=rows.mapped.section.name,
        left=open_count,
        retained=found if treatment.name == "retain" else 0,
    )


def holding(connection: Connection[TupleRow], sections: Sequence[Rows]) -> tuple[str, ...]:
    """Name the sections that hold at least one row."""
    terms = [
        sql.SQL("EXISTS (SELECT FROM {} WHERE {})").format(rows.table, rows.condition)
        for rows in sections
    ]
    row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(terms))).fetchone()
    return tuple(
        rows.mapped.section.name for rows, holds in zip(sections, row or (), strict=True) if holds
    )

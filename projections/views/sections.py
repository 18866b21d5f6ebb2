"""How far each source of a request is, and what is known of each of its sections.

The row of a source has the section ''. Counts are the buckets of the log: exact ones tell about
people.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import orjson

from plumbing.postgres import Cursor, TupleRow, sql
from projections.views.table import Row, Table
from rights.erasure.state import Erasure, SourceErasure
from rights.export.state import Export, SourceRun
from rights.reports import PlannedItem
from rights.subject import Request

TABLE: Final = Table(
    name="sections",
    columns=(
        *("request_id", "source", "section", "state", "attempt"),
        *("waiting_code", "waiting_since", "held_code", "collected_at", "items"),
        *("deleted_bucket", "anonymised_bucket", "retained_bucket", "left_bucket", "kept_bucket"),
    ),
    key=("request_id", "source", "section"),
)
_NO_COUNTS: Final = (None, None, None, None, None)


class SourceState(StrEnum):
    """How far a source is: the first six words for an export, the last seven for an erasure."""

    PENDING = "PENDING"
    WAITING = "WAITING"
    COLLECTING = "COLLECTING"
    COLLECTED = "COLLECTED"
    PLANNED = "PLANNED"
    CHECKED = "CHECKED"
    TREATING = "TREATING"
    TREATED = "TREATED"
    PROBED = "PROBED"
    HELD = "HELD"


def changed_sources(before: Request | None, after: Request) -> list[str]:
    """The sources whose rows differ now; folding leaves what it does not touch as it is."""
    known: Mapping[str, object] = before.sources if before else {}
    return [source for source, run in after.sources.items() if known.get(source) is not run]


def rows(request: Request, source: str) -> Iterator[Row]:
    match request:
        case Export():
            yield from _export_rows(request.request_id, source, request.sources[source])
        case Erasure():
            yield from _erasure_rows(request.request_id, source, request.sources[source])


def write(
    cursor: Cursor[TupleRow],
    schema: str,
    outdated: Collection[tuple[str, str]],
    fresh: Iterable[Row],
) -> None:
    """Exchange the rows of whole sources: a source may also lose sections."""
    if outdated:
        cursor.execute(
            sql.SQL(
                "DELETE FROM {} WHERE (request_id, source) IN"
                " (SELECT * FROM unnest(%s::text[], %s::text[]))"
            ).format(sql.Identifier(schema, TABLE.name)),
            tuple(map(list, zip(*outdated, strict=True))),
        )
    TABLE.add(cursor, schema, fresh)


def _export_rows(request_id: str, source: str, run: SourceRun) -> Iterator[Row]:
    state = _export_state(run)
    collected_at = run.extent.collected_at if run.extent else None
    sections = run.extent.sections if run.extent else ()
    waiting: tuple[str, datetime | None] = (run.waiting_code, run.waiting_since)
    for section in ("", *sections):
        named = (request_id, source, section, state, run.attempt)
        yield (*named, *waiting, "", collected_at, "[]", *_NO_COUNTS)


def _export_state(run: SourceRun) -> SourceState:
    if run.extent:
        return SourceState.COLLECTED
    if run.waiting_since:
        return SourceState.WAITING
    return SourceState.COLLECTING if run.run_id else SourceState.PENDING


def _erasure_rows(request_id: str, source: str, run: SourceErasure) -> Iterator[Row]:
    state = _erasure_state(run)
    treated = {result.section: result for result in run.treated or ()}
    probed = {result.section: result for result in run.probed or ()}
    items: dict[str, list[PlannedItem]] = {}
    for item in run.plan.items if run.plan else ():
        items.setdefault(item.section, []).append(item)
    for section in ("", *sorted(items.keys() | treated.keys() | probed.keys())):
        named = (request_id, source, section, state, 1)
        waiting = (run.waiting_code, run.waiting_since, run.held_code, None)
        done, left = treated.get(section), probed.get(section)
        yield (
            *named,
            *waiting,
            _items(items.get(section, ())),
            done.deleted_bucket if done else None,
            done.anonymised_bucket if done else None,
            done.retained_bucket if done else None,
            left.left_bucket if left else None,
            left.retained_bucket if left else None,
        )


def _erasure_state(run: SourceErasure) -> SourceState:
    reached = (
        (bool(run.held_code), SourceState.HELD),
        (run.probed is not None, SourceState.PROBED),
        (run.waiting_since is not None, SourceState.WAITING),
        (run.treated is not None, SourceState.TREATED),
        (bool(run.started_order), SourceState.TREATING),
        (run.is_rechecked, SourceState.CHECKED),
        (run.plan is not None, SourceState.PLANNED),
    )
    return next((state for is_so, state in reached if is_so), SourceState.PENDING)


def _items(items: "tuple[PlannedItem, ...] | list[PlannedItem]") -> str:
    plain = [
        {
            "item_class": item.item_class,
            "treatment": item.treatment,
            "basis": item.basis,
            "keep_rule": item.keep_rule,
        }
        for item in items
    ]
    return orjson.dumps(plain).decode()

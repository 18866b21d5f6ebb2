"""What services ask of the views: the only module of this room that they import.

Reads only. Whoever looks up a request names its tenant, so that a foreign one is not found rather
than refused; everything else about a request is asked by the id that was found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Final, TypeVar

from plumbing.postgres import (
    DatabaseUnavailable,
    Pool,
    dict_row,
    errors,
    pool,
    sql,
    unavailable_as_ours,
)
from projections.answers import (
    EVERY,
    CommandView,
    Cursor,
    Filter,
    Page,
    ProgressView,
    RequestView,
    SectionView,
    TimelineView,
)
from projections.database import LIVE, SERVING
from projections.watching import Watch

__all__ = [
    "CommandView",
    "Cursor",
    "Filter",
    "Page",
    "ProgressView",
    "Queries",
    "RequestView",
    "SectionView",
    "TimelineView",
    "open_queries",
]

PAGE_MAX: Final = 200
STATEMENT_TIMEOUT: Final = timedelta(seconds=5)
_T = TypeVar("_T")


def _selection(cls: type, schema: str, table: str) -> sql.Composed:
    columns = [sql.Identifier(field.name) for field in fields(cls)]
    return sql.SQL("SELECT {columns} FROM {table}").format(
        columns=sql.SQL(", ").join(columns), table=sql.Identifier(schema, table)
    )


_SELECTIONS: Final[dict[type, sql.Composed]] = {
    RequestView: _selection(RequestView, SERVING, "requests"),
    CommandView: _selection(CommandView, SERVING, "commands"),
    TimelineView: _selection(TimelineView, SERVING, "timeline"),
    SectionView: _selection(SectionView, SERVING, "sections"),
    ProgressView: _selection(ProgressView, LIVE, "progress"),
}


class Queries:
    """Answers from the views, as far as they are. Safe to share between threads.

    Every method may raise DatabaseUnavailable, also while the views are not made yet.
    """

    def __init__(self, readers: Pool, watch: Watch) -> None:
        self._readers = readers
        self._watch = watch

    def request(self, tenant_ref: str, reference: str) -> RequestView | None:
        rest = "WHERE tenant_ref = %(tenant)s AND reference = %(reference)s"
        return self._one(RequestView, rest, {"tenant": tenant_ref, "reference": reference})

    def request_by_id(self, tenant_ref: str, request_id: str) -> RequestView | None:
        rest = "WHERE tenant_ref = %(tenant)s AND request_id = %(id)s"
        return self._one(RequestView, rest, {"tenant": tenant_ref, "id": request_id})

    def requests(
        self,
        tenant_ref: str,
        which: Filter = EVERY,
        *,
        after: Cursor | None = None,
        limit: int = 50,
    ) -> Page:
        """A page of a tenant's requests, newest first."""
        wanted = max(1, min(limit, PAGE_MAX))
        values: dict[str, Any] = {"tenant": tenant_ref, "limit": wanted + 1}
        # Only the conditions that are asked for, so that each has a plan of its own.
        rest = "WHERE tenant_ref = %(tenant)s"
        if which.subject_ref is not None:
            rest += " AND subject_ref = %(subject)s"
            values["subject"] = which.subject_ref
        if which.kind is not None:
            rest += " AND kind = %(kind)s"
            values["kind"] = which.kind
        if which.states:
            rest += " AND state = ANY(%(states)s)"
            values["states"] = list(which.states)
        if after is not None:
            rest += " AND (filed_at, request_id) < (%(filed_at)s, %(after)s)"
            values |= {"filed_at": after.filed_at, "after": after.request_id}
        rest += " ORDER BY filed_at DESC, request_id DESC LIMIT %(limit)s"
        rows = self._rows(RequestView, rest, values)
        shown = rows[:wanted]
        last = shown[-1] if len(rows) > wanted else None
        return Page(rows=shown, next=Cursor(last.filed_at, last.request_id) if last else None)

    def timeline(
        self, request_id: str, *, after_seq: int = -1, limit: int = PAGE_MAX
    ) -> Sequence[TimelineView]:
        """Events in order; `limit` cuts between decisions only when it is at least a decision's."""
        rest = (
            "WHERE request_id = %(id)s AND seq > %(after)s"
            " ORDER BY seq, event_index LIMIT %(limit)s"
        )
        return self._rows(
            TimelineView, rest, {"id": request_id, "after": after_seq, "limit": limit}
        )

    def command(self, command_id: str) -> CommandView | None:
        """How a command was answered, or None if the views do not hold its answer yet."""
        rest = "WHERE command_id = %(id)s ORDER BY verdict = 'UNREADABLE', partition LIMIT 1"
        return self._one(CommandView, rest, {"id": command_id})

    def sections(self, request_id: str) -> Sequence[SectionView]:
        rest = "WHERE request_id = %(id)s ORDER BY source, section"
        return self._rows(SectionView, rest, {"id": request_id})

    def progress(self, request_id: str) -> Sequence[ProgressView]:
        rest = "WHERE request_id = %(id)s ORDER BY source, order_id"
        return self._rows(ProgressView, rest, {"id": request_id})

    def seqs(self) -> Mapping[int, int]:
        """The last decision that the views hold of each partition."""
        query = sql.SQL("SELECT partition, last_seq FROM {}")
        rows = self._fetch(query.format(sql.Identifier(SERVING, "positions")), {})
        return {row["partition"]: row["last_seq"] for row in rows}

    def wait_for(self, partition: int, seq: int, timeout: float) -> bool:
        """Whether the views hold the decision, waiting for it at most `timeout` seconds."""
        return self._watch.wait_for(partition, seq, timeout)

    def close(self) -> None:
        self._watch.close()
        self._readers.close()

    def _one(self, cls: type[_T], rest: str, values: Mapping[str, Any]) -> _T | None:
        return next(iter(self._rows(cls, rest, values)), None)

    def _rows(self, cls: type[_T], rest: str, values: Mapping[str, Any]) -> list[_T]:
        query = sql.SQL("{selection} {rest}").format(
            selection=_SELECTIONS[cls],
            # Put together above, from literals alone.
            rest=sql.SQL(rest),
        )
        return [cls(**row) for row in self._fetch(query, values)]

    def _fetch(self, query: sql.Composed, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            with unavailable_as_ours(), self._readers.connection() as connection:
                cursor = connection.cursor(row_factory=dict_row)
                return cursor.execute(query, values).fetchall()
        except (errors.UndefinedTable, errors.InvalidSchemaName) as absent:
            raise DatabaseUnavailable from absent


def open_queries(dsn: str, *, size: int = 4, application: str = "habeas") -> Queries:
    """Queries over at most `size` connections, and one more that listens. Close them."""
    readers = pool(
        dsn,
        size,
        application=application,
        read_only=True,
        statement_timeout=STATEMENT_TIMEOUT,
    )
    watch = Watch(dsn, application=application)
    watch.start()
    return Queries(readers, watch)

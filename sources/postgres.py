"""A Source over the tables of one Postgres database, as its declaration says.

It holds connections and what it read of the catalogue; all else is in the declaration or in the
database itself, so any number of processes may stand for the same source.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from plumbing.postgres import Connection, TupleRow, errors, sql
from sources.contract import (
    BATCH_ROWS,
    PAGE_ROWS,
    DeclarationError,
    FilePage,
    Handles,
    Located,
    Page,
    PlannedItem,
    Probe,
    SectionDescription,
    SourceDescription,
    SourceRefused,
    SourceUnavailable,
    Step,
    Treated,
)
from sources.declaration import Declaration
from sources.tables import ledger, mapping, reading, treatments
from sources.tables.connections import DEFAULT_LIMITS, Connections, Limits, contract_words
from sources.tables.mapping import Drift, Fit
from sources.tables.matching import Rows

LIMIT_MAX = 100_000

BEGIN_READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
SNAPSHOT_NAME = re.compile(r"[0-9A-Fa-f-]{1,64}")
MOMENT = """
SELECT pg_snapshot_xmax(s)::text, pg_snapshot_xmin(s)::text,
       to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM pg_current_snapshot() AS s
"""


class PostgresSource:
    """See `contract.Source` for what each verb promises."""

    def __init__(self, declaration: Declaration, dsn: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self._declaration = declaration
        self._connections = Connections(dsn, limits)
        self._fit: Fit | None = None
        self._has_ledger = False

    def close(self) -> None:
        self._connections.close()

    def describe(self) -> SourceDescription:
        declared = self._declaration
        return SourceDescription(
            name=declared.source,
            owner=declared.owner,
            handles=declared.handles,
            sections=tuple(
                SectionDescription(
                    name=section.name,
                    title=section.title,
                    purpose=section.purpose,
                    treatment=section.treatment,
                    item_class=section.item_class,
                    media=("rows", "files") if section.files else ("rows",),
                )
                for section in declared.sections
            ),
            declaration_hash=declared.digest,
        )

    def check(self) -> tuple[Drift, ...]:
        """Hold the declaration against its database and name every undecided column.

        Raises:
            DeclarationError: a table or column is not there, or cannot be used as declared.
        """
        with self._connected() as connection:
            self._fit = None
            self._fitted(connection)
            return mapping.column_drift(connection, self._declaration)

    def locate(self, handles: Handles) -> Located | None:
        with self._connected() as connection:
            sections = treatments.holding(connection, self._all_rows(connection, handles))
        return Located(sections=sections) if sections else None

    def watermark(self) -> str:
        with self._connected() as connection:
            return _moment(connection)

    @contextmanager
    def snapshot(self) -> Iterator[str]:
        connection = self._connections.take()
        try:
            with contract_words():
                connection.execute(BEGIN_READING)
                moment = _moment(connection)
                row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            # What fails inside the caller's block is the caller's and passes as it is.
            yield f"{moment}#{row[0] if row else ''}"
        finally:
            self._connections.give_back(connection)

    def export(
        self,
        handles: Handles,
        section: str,
        *,
        cursor: str | None = None,
        limit: int = PAGE_ROWS,
        watermark: str | None = None,
    ) -> Page:
        _check_limit(limit)
        with self._reading(watermark) as connection:
            rows = self._rows(connection, handles, section)
            return reading.page(connection, rows, cursor, limit)

    def stream(
        self, handles: Handles, section: str, *, watermark: str | None = None
    ) -> Iterator[bytes]:
        with self._reading(watermark) as connection:
            yield from reading.lines(connection, self._rows(connection, handles, section))

    def files(
        self,
        handles: Handles,
        section: str,
        *,
        cursor: str | None = None,
        limit: int = PAGE_ROWS,
        watermark: str | None = None,
    ) -> FilePage:
        _check_limit(limit)
        with self._reading(watermark) as connection:
            rows = self._rows(connection, handles, section)
            columns = rows.mapped.section.files
            if columns is None:
                return FilePage(files=(), cursor=None)
            return reading.file_page(connection, rows, columns, cursor, limit)

    def open_file(
        self, handles: Handles, section: str, ref: str, *, watermark: str | None = None
    ) -> Iterator[bytes]:
        with self._reading(watermark) as connection:
            rows = self._rows(connection, handles, section)
            columns = rows.mapped.section.files
            if columns is None:
                raise SourceRefused("FILE_UNKNOWN")
            yield from reading.file_pieces(connection, rows, columns, ref)

    def plan(self, handles: Handles) -> tuple[PlannedItem, ...]:
        with self._reading(None) as connection:
            return tuple(
                treatments.plan(connection, rows) for rows in self._all_rows(connection, handles)
            )

    def treat(self, handles: Handles, step: Step, *, limit: int = BATCH_ROWS) -> Treated:
        _check_limit(limit)
        source = self._declaration.source
        with self._connected() as connection:
            names = self._fitted(connection).treated
            if not self._has_ledger:
                ledger.create_tables(connection)
                self._has_ledger = True
            ledger.raise_fence(connection, source, step)
            with connection.transaction():
                ledger.hold_fence(connection, source, step)
                noted = ledger.progress(connection, source, step, names)
                for name in names:
                    if limit and not noted[name].is_finished:
                        rows = self._rows(connection, handles, name)
                        noted[name], taken = treatments.treat(connection, rows, noted[name], limit)
                        ledger.note(connection, source, step, noted[name])
                        limit -= taken
            watermark = _moment(connection)
        return Treated(
            sections=tuple(noted[s.name].treated for s in self._declaration.sections),
            more=not all(progress.is_finished for progress in noted.values()),
            watermark=watermark,
        )

    def probe(self, handles: Handles) -> Probe:
        with self._reading(None) as connection:
            watermark = _moment(connection)
            return Probe(
                watermark=watermark,
                sections=tuple(
                    treatments.probe(connection, rows)
                    for rows in self._all_rows(connection, handles)
                ),
            )

    @contextmanager
    def _connected(self) -> Iterator[Connection[TupleRow]]:
        try:
            with self._connections.borrow() as connection:
                yield connection
        except DeclarationError as error:
            # The tables changed under us, perhaps for good: look at them again next time.
            self._fit, self._has_ledger = None, False
            raise self._declaration.origin.locate(error) from None

    @contextmanager
    def _reading(self, watermark: str | None) -> Iterator[Connection[TupleRow]]:
        """Lend a connection inside a read-only transaction that sees one moment."""
        with self._connected() as connection:
            connection.execute(BEGIN_READING)
            if watermark is not None:
                _enter_snapshot(connection, watermark)
            yield connection

    def _fitted(self, connection: Connection[TupleRow]) -> Fit:
        if self._fit is None:
            self._fit = mapping.fit(connection, self._declaration)
        return self._fit

    def _rows(self, connection: Connection[TupleRow], handles: Handles, section: str) -> Rows:
        mapped = self._fitted(connection).sections.get(section)
        if mapped is None:
            raise SourceRefused("SECTION_UNKNOWN")
        return Rows(declaration=self._declaration, mapped=mapped, handles=handles)

    def _all_rows(self, connection: Connection[TupleRow], handles: Handles) -> list[Rows]:
        return [self._rows(connection, handles, s.name) for s in self._declaration.sections]


def column_drift(source: PostgresSource) -> tuple[Drift, ...]:
    """Name every column of the declared tables that nobody decided about."""
    return source.check()


def _check_limit(limit: int) -> None:
    if not 0 < limit <= LIMIT_MAX:
        raise SourceRefused("LIMIT_INVALID")


def _moment(connection: Connection[TupleRow]) -> str:
    """Name the present moment: transaction numbers first, because they never run backwards."""
    row = connection.execute(MOMENT).fetchone()
    if row is None:
        raise AssertionError("a SELECT without FROM has one row")
    return f"{int(row[0]):020d}.{int(row[1]):020d}@{row[2]}"


def _enter_snapshot(connection: Connection[TupleRow], watermark: str) -> None:
    name = watermark.partition("#")[2]
    if not SNAPSHOT_NAME.fullmatch(name):
        raise SourceUnavailable("WATERMARK_GONE")
    try:
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(name)))
    except (errors.UndefinedObject, errors.InvalidParameterValue):
        raise SourceUnavailable("WATERMARK_GONE") from None

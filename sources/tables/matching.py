"""The SQL that finds one person's rows in a section, and nobody else's.

Identifiers and values are rendered by the driver's own quoting, never by string formatting.
"""

import json
from dataclasses import dataclass

from plumbing.postgres import sql
from sources.contract import TENANT, Handles, SourceRefused
from sources.declaration import Declaration
from sources.sections import HandleMatch, Section
from sources.tables.catalog import qualified
from sources.tables.mapping import Mapped

# An alias that no product's table bears.
ROW = "habeas_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One person's rows in one section. A position is the place of a row in their scan order."""

    declaration: Declaration
    mapped: Mapped
    handles: Handles

    @property
    def table(self) -> sql.Composable:
        return sql.SQL("{} AS {}").format(qualified(self.mapped.section.table), sql.Identifier(ROW))

    @property
    def order(self) -> sql.Composable:
        return sql.SQL(", ").join([column(name) for name in self.mapped.order])

    @property
    def position(self) -> sql.Composable:
        texts = [sql.SQL("{}::text").format(column(name)) for name in self.mapped.order]
        return sql.SQL("json_build_array({})::text").format(sql.SQL(", ").join(texts))

    @property
    def condition(self) -> sql.Composable:
        return _condition(self.declaration, self.mapped.section, self.handles, ROW, None)

    def after(self, position: str | None) -> sql.Composable:
        if position is None:
            return self.condition
        values = self._values(position)
        # The table that this one refers to is entered at the same place, or every page would
        # join all of it again.
        floor = values[0] if self.mapped.section.references else None
        return sql.SQL("{} AND ({}) > ({})").format(
            _condition(self.declaration, self.mapped.section, self.handles, ROW, floor),
            self.order,
            sql.SQL(", ").join([text_literal(value) for value in values]),
        )

    def at(self, position: str) -> sql.Composable:
        values = self._values(position)
        return sql.SQL("{} AND ({}) = ({})").format(
            self.condition, self.order, sql.SQL(", ").join([text_literal(v) for v in values])
        )

    def _values(self, position: str) -> list[str]:
        try:
            values = json.loads(position)
        except ValueError:
            raise SourceRefused("CURSOR_INVALID") from None
        if (
            not isinstance(values, list)
            or len(values) != len(self.mapped.order)
            or not all(isinstance(value, str) for value in values)
        ):
            raise SourceRefused("CURSOR_INVALID")
        return values


def column(name: str) -> sql.Identifier:
    return sql.Identifier(ROW, name)


def text_literal(text: str) -> sql.Literal:
    """Quote a handle or a position; what Postgres cannot hold as text matches nothing there."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SourceRefused("VALUE_INVALID") from None
    if "\0" in text:
        raise SourceRefused("VALUE_INVALID")
    return sql.Literal(text)


def _condition(
    declaration: Declaration, section: Section, handles: Handles, alias: str, floor: str | None
) -> sql.Composable:
    terms: list[sql.Composable] = []
    for match in section.matches:
        matched = sql.Identifier(alias, match.column)
        if isinstance(match, HandleMatch):
            terms.append(_is_theirs(matched, match.handle, handles))
            continue
        above = f"{alias}_up"
        referenced = sql.Identifier(above, match.referenced)
        inner = [_condition(declaration, declaration.holder(match.table), handles, above, None)]
        if floor is not None and match == section.references[0]:
            inner.append(sql.SQL("{} >= {}").format(referenced, text_literal(floor)))
        terms.append(
            sql.SQL("{} IN (SELECT {} FROM {} AS {} WHERE {})").format(
                matched,
                referenced,
                qualified(match.table),
                sql.Identifier(above),
                sql.SQL(" AND ").join(inner),
            )
        )
    return sql.SQL("({})").format(sql.SQL(" AND ").join(terms))


def _is_theirs(matched: sql.Composable, handle: str, handles: Handles) -> sql.Composable:
    value = handles.get(handle)
    if value:
        return sql.SQL("{} = {}").format(matched, text_literal(value))
    if handle == TENANT:
        # Nobody is known without a tenant: a caller that forgot it must not read "no rows".
        raise SourceRefused("TENANT_MISSING")
    return sql.SQL("FALSE")

"""A declaration held against its database: what each section adds up to, and what does not fit.

A column that nobody decided about is drift: the largest real leak of any export or erasure is the
column that was added last week.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from plumbing.postgres import Connection, TupleRow
from sources.contract import DeclarationError, Treatment
from sources.declaration import Declaration
from sources.sections import FileColumns, Section
from sources.tables.catalog import SETS_EMPTY, ForeignKey, Table, foreign_keys, read_table

SCRUBBED = "[deleted]"
TEXT_TYPES = ("text", "character varying", "character", "citext")
DATED_TYPES = ("date", "timestamp with time zone", "timestamp without time zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A section with what its table adds: the scan order and what scrubbing writes.

    `order` starts with the column that refers to another table, so that a batch can take up
    where the last one ended on both sides of the join.
    """

    section: Section
    table: Table
    order: tuple[str, ...]
    replacements: tuple[tuple[str, str | int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A column that is neither exported, scrubbed, replaced, matched nor ignored."""

    section: str
    table: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The sections by name, as declared, and their names in the order in which erasure goes."""

    sections: Mapping[str, Mapped]
    treated: tuple[str, ...]


def fit(connection: Connection[TupleRow], declaration: Declaration) -> Fit:
    """Hold every section against its table.

    Raises:
        DeclarationError: a table or column is not there, or cannot be used as declared.
    """
    sections = {
        section.name: _mapped(section, read_table(connection, section.table))
        for section in declaration.sections
    }
    keys = foreign_keys(connection, {mapped.table.oid for mapped in sections.values()})
    _refuse_orphans(sections.values(), keys)
    return Fit(sections=sections, treated=_treated(declaration, sections, keys))


def _refuse_orphans(sections: Iterable[Mapped], keys: Iterable[ForeignKey]) -> None:
    """Rows that stay cannot point at rows that go: Postgres would refuse, or take both."""
    by_table: dict[int, list[Mapped]] = {}
    for mapped in sections:
        by_table.setdefault(mapped.table.oid, []).append(mapped)
    for key in keys:
        goes = any(m.section.treatment.name == "delete" for m in by_table[key.referred])
        for mapped in by_table[key.referring]:
            stays = mapped.section.treatment.name != "delete"
            emptied = {column for column, value in mapped.replacements if value is None}
            lets_go = key.on_delete in SETS_EMPTY or emptied.intersection(key.columns)
            if goes and stays and not lets_go:
                raise DeclarationError(
                    "KEPT_ROWS_REFER_TO_DELETED",
                    f"Rows of `{mapped.section.table}` stay and point at rows that are deleted.",
                    f"Scrub `{key.columns[0]}` as well, or keep the rows that it points at.",
                    f"{mapped.section.pointer}/erase",
                )


def _treated(
    declaration: Declaration, sections: Mapping[str, Mapped], keys: Iterable[ForeignKey]
) -> tuple[str, ...]:
    """Whoever hangs on another goes first: with the other gone, nothing would find it."""
    found_by: dict[str, set[str]] = {name: set() for name in sections}
    for section in declaration.sections:
        for reference in section.references:
            found_by[declaration.holder(reference.table).name].add(section.name)
    pointed_at = {name: set(hanging) for name, hanging in found_by.items()}
    for key in keys:
        for name, mapped in sections.items():
            if mapped.table.oid == key.referred:
                pointed_at[name].update(
                    n for n, m in sections.items() if m.table.oid == key.referring
                )
    try:
        return tuple(TopologicalSorter(pointed_at).static_order())
    except CycleError:
        # Tables that point at each other need deferred constraints; then any order will do, as
        # long as every row can still be found.
        return tuple(TopologicalSorter(found_by).static_order())


def column_drift(connection: Connection[TupleRow], declaration: Declaration) -> tuple[Drift, ...]:
    """Name every column of a declared table that no section of the table decided about."""
    found: list[Drift] = []
    decided: dict[str, set[str]] = {}
    for section in declaration.sections:
        decided.setdefault(section.table, set()).update(_decided(section))
    for name, columns in decided.items():
        table = read_table(connection, name)
        holder = next(s for s in declaration.sections if s.table == name)
        found.extend(
            Drift(section=holder.name, table=name, column=column)
            for column in (table.columns if table else ())
            if column not in columns
        )
    return tuple(found)


def _decided(section: Section) -> set[str]:
    return {
        *section.columns,
        *section.ignored,
        *section.treatment.scrub,
        *(column for column, _ in section.treatment.replacements),
        *(match.column for match in section.matches),
        *_file_columns(section.files),
    }


def _file_columns(files: FileColumns | None) -> tuple[str, ...]:
    return (files.name, files.media_type, files.content) if files else ()


def _mapped(section: Section, table: Table | None) -> Mapped:
    if table is None:
        raise DeclarationError(
            "TABLE_MISSING",
            f"The database has no table `{section.table}` that this role may see.",
            "Correct the name, or grant the role access.",
            f"{section.pointer}/table",
        )
    _refuse_missing_columns(section, table)
    if not table.primary_key:
        raise DeclarationError(
            "PRIMARY_KEY_MISSING",
            f"`{section.table}` has no primary key, so its rows cannot be paged.",
            "Give it one.",
            f"{section.pointer}/table",
        )
    references = [reference.column for reference in section.references][:1]
    order = tuple(dict.fromkeys([*references, *table.primary_key]))
    _refuse_binary(section, table)
    _refuse_undated(section, table)
    replacements = tuple(_replacements(section.treatment, section, table))
    for column, _ in replacements:
        if column in order:
            raise DeclarationError(
                "ORDER_COLUMN_TREATED",
                f"`{column}` says which row is which, so erasure cannot overwrite it.",
                "Leave it, or delete the row.",
                f"{section.pointer}/erase",
            )
    return Mapped(section=section, table=table, order=order, replacements=replacements)


def _refuse_missing_columns(section: Section, table: Table) -> None:
    treatment = section.treatment
    named = [
        *((column, f"columns/{i}") for i, column in enumerate(section.columns)),
        *((match.column, f"match/{match.column}") for match in section.matches),
        *((column, f"ignore/{column}") for column in section.ignored),
        *((column, f"erase/scrub/{i}") for i, column in enumerate(treatment.scrub)),
        *((column, f"erase/anonymise/{column}") for column, _ in treatment.replacements),
        *((column, "files") for column in _file_columns(section.files)),
    ]
    if treatment.counted_from:
        named.append((treatment.counted_from, "erase/keep"))
    for column, place in named:
        if column not in table.columns:
            raise DeclarationError(
                "COLUMN_MISSING",
                f"`{section.table}` has no column `{column}`.",
                "Correct the name, or take it out.",
                f"{section.pointer}/{place}",
            )


def _refuse_binary(section: Section, table: Table) -> None:
    for i, column in enumerate(section.columns):
        if table.columns[column].type == "bytea":
            raise DeclarationError(
                "BINARY_COLUMN_EXPORTED",
                f"`{column}` holds bytes, which a JSON line cannot carry.",
                "Declare it under `files`, or ignore it with a reason.",
                f"{section.pointer}/columns/{i}",
            )


def _refuse_undated(section: Section, table: Table) -> None:
    counted_from = section.treatment.counted_from
    if counted_from and table.columns[counted_from].type not in DATED_TYPES:
        raise DeclarationError(
            "RETENTION_START_NO_DATE",
            f"Years cannot be counted from `{counted_from}`: it holds no date.",
            "Name a column that does, with `from`.",
            f"{section.pointer}/erase",
        )


def _replacements(
    treatment: Treatment, section: Section, table: Table
) -> list[tuple[str, str | int | None]]:
    """What erasure writes: an empty value where the column allows it, else a word."""
    scrubbed: list[tuple[str, str | int | None]] = []
    for i, name in enumerate(treatment.scrub):
        column = table.columns[name]
        if column.is_nullable:
            scrubbed.append((name, None))
        elif column.type in TEXT_TYPES:
            scrubbed.append((name, SCRUBBED))
        else:
            raise DeclarationError(
                "SCRUB_IMPOSSIBLE",
                f"`{name}` may not be empty and is no text.",
                "Let the column be empty, or use `anonymise` with a value.",
                f"{section.pointer}/erase/scrub/{i}",
            )
    return [*scrubbed, *treatment.replacements]

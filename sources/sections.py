"""One section of a declaration: which table, whose rows, which columns, and what erasure does.

It reads what the file says; whether the database agrees is asked in `catalog.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sources.contract import TENANT, Treatment
from sources.document import Field

SECTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
YEARS_MAX = 100
ERASE_FORMS = "Write `delete`, `{keep: <rule>, scrub: [...]}` or `{anonymise: {column: value}}`."


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleMatch:
    """A row is the person's where this column holds their handle."""

    column: str
    handle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMatch:
    """A row is the person's where this column points at a row of theirs in another table."""

    column: str
    table: str
    referenced: str


Match = HandleMatch | ReferenceMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumns:
    name: str
    media_type: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    name: str
    title: Mapping[str, str]
    table: str
    matches: tuple[Match, ...]
    columns: tuple[str, ...]
    purpose: str
    treatment: Treatment
    ignored: Mapping[str, str]
    files: FileColumns | None
    item_class: str

    @property
    def pointer(self) -> str:
        return f"/sections/{self.name}"

    @property
    def handles(self) -> tuple[str, ...]:
        return tuple(m.handle for m in self.matches if isinstance(m, HandleMatch))

    @property
    def references(self) -> tuple[ReferenceMatch, ...]:
        return tuple(m for m in self.matches if isinstance(m, ReferenceMatch))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    basis: str
    years: int
    counted_from: str | None


def read_rules(field: Field) -> dict[str, RetentionRule]:
    return {name: _rule(below) for name, below in field.entries().items()}


def _rule(field: Field) -> RetentionRule:
    keys = field.keys(required=("basis", "years"), optional=("from",))
    years = keys["years"].whole_number()
    if not 0 < years <= YEARS_MAX:
        raise keys["years"].error(
            "RETENTION_YEARS_INVALID",
            "A retention ends.",
            f"Write a number of years from 1 to {YEARS_MAX}.",
        )
    counted_from = keys["from"].text() if "from" in keys else None
    return RetentionRule(basis=keys["basis"].text(), years=years, counted_from=counted_from)


def read_section(name: str, field: Field, rules: Mapping[str, RetentionRule]) -> Section:
    if not SECTION_NAME.fullmatch(name):
        raise field.error(
            "NAME_INVALID",
            "A section's name becomes part of file and topic names.",
            "Use a-z, 0-9 and underscores, a letter first.",
        )
    keys = field.keys(
        required=("title", "table", "match", "columns", "purpose", "erase"),
        optional=("ignore", "files", "class"),
    )
    section = Section(
        name=name,
        title=_title(keys["title"]),
        table=keys["table"].text(),
        matches=_matches(keys["match"]),
        columns=_columns(keys["columns"]),
        purpose=keys["purpose"].text(),
        treatment=_treatment(keys["erase"], rules),
        ignored=_ignored(keys["ignore"]) if "ignore" in keys else {},
        files=_files(keys["files"]) if "files" in keys else None,
        item_class=keys["class"].text() if "class" in keys else name,
    )
    _refuse_contradictions(section, keys)
    return section


def _title(field: Field) -> dict[str, str]:
    if isinstance(field.value, str):
        return {"en": field.text()}
    titles = {language: below.text() for language, below in field.entries().items()}
    if not titles:
        raise field.error("VALUE_EMPTY", "A section needs a title.", "Write one: `{en: …}`.")
    return titles


def _columns(field: Field) -> tuple[str, ...]:
    columns = field.texts()
    if not columns:
        raise field.error("VALUE_EMPTY", "No column is exported.", "List what the person may see.")
    return columns


def _matches(field: Field) -> tuple[Match, ...]:
    matches = tuple(_match(column, below) for column, below in field.entries().items())
    named = [m for m in matches if isinstance(m, ReferenceMatch) or m.handle != TENANT]
    if not named:
        # Only a tenant, or nothing at all: every row of the tenant would be this person's.
        raise field.error(
            "MATCH_NAMES_NOBODY",
            "This match names no person.",
            "Add a column: `user_id: subject.user_id`.",
        )
    return matches


def _match(column: str, field: Field) -> Match:
    left, dot, right = field.text().rpartition(".")
    if not dot or not left or not right:
        raise field.error(
            "MATCH_UNKNOWN",
            "This is neither a handle nor a column.",
            "Write `subject.<handle>` or `<table>.<column>`.",
        )
    if left == "subject":
        return HandleMatch(column=column, handle=right)
    return ReferenceMatch(column=column, table=left, referenced=right)


def _ignored(field: Field) -> dict[str, str]:
    return {column: reason.text() for column, reason in field.entries().items()}


def _files(field: Field) -> FileColumns:
    keys = field.keys(required=("name", "media_type", "bytes"))
    return FileColumns(
        name=keys["name"].text(),
        media_type=keys["media_type"].text(),
        content=keys["bytes"].text(),
    )


def _treatment(field: Field, rules: Mapping[str, RetentionRule]) -> Treatment:
    match field.value:
        case "delete":
            return Treatment(name="delete")
        case {"keep": _}:
            return _retain(field, rules)
        case {"anonymise": _}:
            return _anonymise(field)
        case _:
            raise field.error(
                "TREATMENT_UNKNOWN", "Erasure would not know what to do here.", ERASE_FORMS
            )


def _retain(field: Field, rules: Mapping[str, RetentionRule]) -> Treatment:
    keys = field.keys(required=("keep",), optional=("scrub", "from"))
    name = keys["keep"].text()
    if name not in rules:
        raise keys["keep"].error(
            "RETENTION_RULE_UNKNOWN",
            f"No retention rule is called `{name}`.",
            f"Add it on top: `retention: {{{name}: {{basis: …, years: …, from: <column>}}}}`.",
        )
    counted_from = keys["from"].text() if "from" in keys else rules[name].counted_from
    if counted_from is None:
        raise field.error(
            "RETENTION_START_MISSING",
            "Nothing says from when the years are counted.",
            "Add `from: <column>` to the rule or here.",
        )
    return Treatment(
        name="retain",
        rule=name,
        basis=rules[name].basis,
        years=rules[name].years,
        counted_from=counted_from,
        scrub=keys["scrub"].texts() if "scrub" in keys else (),
    )


def _anonymise(field: Field) -> Treatment:
    keys = field.keys(required=("anonymise",))
    replacements: list[tuple[str, str | int | None]] = []
    for column, below in keys["anonymise"].entries().items():
        if below.value is not None and not isinstance(below.value, str | int):
            raise below.error(
                "WRONG_TYPE", "No such value can replace one.", "Write a text, a number or null."
            )
        replacements.append((column, below.value))
    if not replacements:
        raise field.error("VALUE_EMPTY", "Nothing would be replaced.", "Name a column and a value.")
    return Treatment(name="anonymise", replacements=tuple(replacements))


def _refuse_contradictions(section: Section, keys: Mapping[str, Field]) -> None:
    treatment, erase = section.treatment, keys["erase"]
    for column in section.columns:
        if column in section.ignored:
            raise keys["ignore"].error(
                "COLUMN_TWICE", f"`{column}` is exported and ignored.", "Decide for one."
            )
    if section.files and section.files.content in section.columns:
        raise keys["columns"].error(
            "COLUMN_TWICE",
            f"`{section.files.content}` is exported as a column and as a file.",
            "Leave it to `files`.",
        )
    for match in section.matches:
        if match.column in treatment.scrub:
            raise erase.error(
                "SCRUBS_ITS_MATCH",
                f"Without `{match.column}` the kept rows could not be found again.",
                "Take it out of `scrub`.",
            )
    replaced = {column for column, _ in treatment.replacements}
    for match in section.matches:
        names_person = isinstance(match, HandleMatch) and match.handle != TENANT
        if treatment.name == "anonymise" and names_person and match.column not in replaced:
            raise erase.error(
                "ANONYMISED_STILL_NAMES",
                f"`{match.column}` would still say whose row it was.",
                f"Give it a placeholder under `anonymise`: `{match.column}: …`.",
            )

"""A product team's declaration: about twenty lines of YAML, read into values that cannot be odd.

It opens no database and no environment: `${JOURNAL_DSN}` stays a name until `registry.py` is
given a mapping.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sources.contract import TENANT
from sources.document import Field, Origin, read
from sources.sections import Section, read_rules, read_section

SOURCE_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    source: str
    owner: str
    database_variable: str
    sections: tuple[Section, ...]
    digest: str
    origin: Origin

    def section(self, name: str) -> Section | None:
        return next((s for s in self.sections if s.name == name), None)

    def holder(self, table: str) -> Section:
        """The section of a table that another one refers to: there is exactly one."""
        return next(s for s in self.sections if s.table == table)

    @property
    def handles(self) -> tuple[str, ...]:
        return tuple(sorted({handle for s in self.sections for handle in s.handles}))


def parse(text: str, file: str = "") -> Declaration:
    """Read a declaration.

    Raises:
        DeclarationError: the first mistake, with its pointer and line.
    """
    top = read(text, file)
    keys = top.keys(required=("source", "owner", "database", "sections"), optional=("retention",))
    rules = read_rules(keys["retention"]) if "retention" in keys else {}
    fields = keys["sections"].entries()
    if not fields:
        raise keys["sections"].error("VALUE_EMPTY", "No section is declared.", "Declare one.")
    sections = tuple(read_section(name, field, rules) for name, field in fields.items())
    for section in sections:
        _check_references(section, sections, fields[section.name], ())
        _check_tenant(section, sections, fields[section.name])
    source, owner = _source_name(keys["source"]), keys["owner"].text()
    return Declaration(
        source=source,
        owner=owner,
        database_variable=_variable(keys["database"]),
        sections=sections,
        digest=_digest(source, owner, sections),
        origin=top.origin,
    )


def _source_name(field: Field) -> str:
    name = field.text()
    if not SOURCE_NAME.fullmatch(name):
        raise field.error(
            "NAME_INVALID",
            "A source's name becomes part of topic names.",
            "Use a-z, 0-9 and hyphens, a letter first.",
        )
    return name


def _variable(field: Field) -> str:
    found = VARIABLE.fullmatch(field.text())
    if not found:
        # A connection string holds a password; declarations are kept in repositories.
        raise field.error(
            "DATABASE_NOT_A_VARIABLE",
            "The database is named by an environment variable only.",
            "Write `${JOURNAL_DSN}` and set JOURNAL_DSN where the collector runs.",
        )
    return found[1]


def _check_references(
    section: Section, sections: tuple[Section, ...], field: Field, path: tuple[str, ...]
) -> None:
    """Follow the references of a section to their end; `field` is where complaints belong."""
    if section.name in path:
        raise field.error(
            "MATCH_CYCLE",
            f"`{section.name}` refers to itself by way of others.",
            "Let one of them match a handle of the subject.",
        )
    for reference in section.references:
        holders = [s for s in sections if s.table == reference.table]
        if not holders:
            raise field.error(
                "MATCH_TABLE_UNKNOWN",
                f"No section holds the table `{reference.table}`.",
                "Declare that table as a section, or write `subject.<handle>`.",
            )
        if len(holders) > 1:
            raise field.error(
                "MATCH_AMBIGUOUS",
                f"More than one section holds the table `{reference.table}`.",
                "Match a handle of the subject instead.",
            )
        _check_outlives(section, holders[0], field)
        _check_references(holders[0], sections, field, (*path, section.name))


def _check_tenant(section: Section, sections: tuple[Section, ...], field: Field) -> None:
    shared = any(TENANT in s.handles for s in sections)
    if shared and not section.references and TENANT not in section.handles:
        # Handles are unique within a tenant only: `u-17` of another tenant is somebody else.
        raise field.error(
            "TENANT_FORGOTTEN",
            f"Other sections match `subject.{TENANT}`; this one would mix tenants.",
            f"Add `<column>: subject.{TENANT}` to its match.",
        )


def _check_outlives(section: Section, holder: Section, field: Field) -> None:
    stays = section.treatment.name != "delete"
    kept_under_gone = section.treatment.name == "retain" and holder.treatment.name != "retain"
    if kept_under_gone or (stays and holder.treatment.name == "delete"):
        raise field.error(
            "OUTLIVES_ITS_MATCH",
            f"Rows of `{section.name}` stay, but `{holder.name}`, which finds them, does not.",
            f"Keep `{holder.name}` as well, or match a handle of the subject.",
        )


def _digest(source: str, owner: str, sections: tuple[Section, ...]) -> str:
    """Say what was declared, in one line: equal for equal meaning, whatever the layout."""
    meaning: Mapping[str, object] = {
        "source": source,
        "owner": owner,
        "sections": [asdict(section) for section in sections],
    }
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()

"""A declaration that is right is read whole; each mistake has its name, its place and a next step."""

from __future__ import annotations

import pytest

from sources.contract import DeclarationError
from sources.declaration import parse
from tests.sources.clinic import DECLARATION

GOOD = """\
source: journal
owner: team-wellbeing
database: ${JOURNAL_DSN}
retention:
  tax-law-7y: {basis: tax law, years: 7, from: issued_on}
sections:
  entries:
    title: {en: Entries, fr: Entrées}
    table: entry
    match: {user_id: subject.user_id}
    columns: [id, body]
    purpose: keep your journal
    erase: delete
  notes:
    title: Notes
    table: app.note
    match: {entry_id: entry.id}
    columns: [id, text]
    purpose: keep your notes
    erase: delete
    ignore: {rank: not personal}
"""


def test_a_good_declaration_is_read_whole() -> None:
    declared = parse(GOOD)

    entries, notes = declared.sections
    assert (declared.source, declared.owner) == ("journal", "team-wellbeing")
    assert declared.database_variable == "JOURNAL_DSN"
    assert declared.handles == ("user_id",)
    assert entries.title == {"en": "Entries", "fr": "Entrées"}
    assert notes.title == {"en": "Notes"}
    assert (entries.item_class, notes.table) == ("entries", "app.note")
    assert notes.ignored == {"rank": "not personal"}


def test_retention_rules_are_named_and_may_start_elsewhere() -> None:
    visits, measures = parse(DECLARATION).sections[:2]

    assert visits.treatment.rule == measures.treatment.rule == "health-10y"
    assert visits.treatment.keep_until == "10 years from held_on"
    assert measures.treatment.keep_until == "10 years from taken_at"


def test_the_hash_is_of_the_meaning_and_not_of_the_layout() -> None:
    digest = parse(GOOD).digest

    assert parse(GOOD.replace("erase: delete", "erase: 'delete' # gone")).digest == digest
    assert parse(GOOD.replace("JOURNAL_DSN", "OTHER_DSN")).digest == digest
    assert parse(GOOD.replace("[id, body]", "[id, body, mood]")).digest != digest
    assert parse(GOOD.replace("keep your notes", "sell your notes")).digest != digest


ENTRIES = "/sections/entries"
NOTES = "/sections/notes"
# What is replaced in GOOD, by what, and the error's code, pointer and line.
MISTAKES = [
    (GOOD, "", "DECLARATION_EMPTY", "", 1),
    (GOOD, "source: [", "YAML_INVALID", "", 1),
    (GOOD, "source: \x00", "YAML_INVALID", "", 1),
    (GOOD, "just words", "WRONG_TYPE", "", 1),
    ("owner: team-wellbeing", "owner: x\nowner: y", "YAML_KEY_TWICE", "/owner", 3),
    ("owner: team-wellbeing", "owner: &a x\nownr: *a", "YAML_ALIAS", "/ownr", 2),
    ("owner: team-wellbeing", "owner: x\n12: y", "KEY_NOT_TEXT", "", 3),
    ("owner: team-wellbeing", "owner: 2026-99-99", "VALUE_UNREADABLE", "/owner", 2),
    ("owner: team-wellbeing", "owner: !!python/none ''", "VALUE_UNREADABLE", "/owner", 2),
    ("owner: team-wellbeing", "ownr: x", "KEY_UNKNOWN", "/ownr", 2),
    ("owner: team-wellbeing\n", "", "KEY_MISSING", "", 1),
    ("owner: team-wellbeing", "owner: ' '", "VALUE_EMPTY", "/owner", 2),
    ("owner: team-wellbeing", "owner: 7", "WRONG_TYPE", "/owner", 2),
    ("source: journal", "source: My Journal", "NAME_INVALID", "/source", 1),
    ("${JOURNAL_DSN}", "postgres://u:p@h/d", "DATABASE_NOT_A_VARIABLE", "/database", 3),
    ("years: 7", "years: 0", "RETENTION_YEARS_INVALID", "/retention/tax-law-7y/years", 5),
    ("years: 7", "years: true", "WRONG_TYPE", "/retention/tax-law-7y/years", 5),
    ("years: 7", "year: 7", "KEY_UNKNOWN", "/retention/tax-law-7y/year", 5),
    ("  entries:", "  Entries!:", "NAME_INVALID", "/sections/Entries!", 8),
    ("    table: entry\n", "", "KEY_MISSING", ENTRIES, 8),
    ("    purpose: keep your journal\n", "", "KEY_MISSING", ENTRIES, 8),
    ("    erase: delete\n  notes", "  notes", "KEY_MISSING", ENTRIES, 8),
    ("    table: entry", "    table_: entry", "KEY_UNKNOWN", f"{ENTRIES}/table_", 9),
    ("title: {en: Entries, fr: Entrées}", "title: {}", "VALUE_EMPTY", f"{ENTRIES}/title", 8),
    ("[id, body]", "[]", "VALUE_EMPTY", f"{ENTRIES}/columns", 11),
    ("[id, body]", "body", "WRONG_TYPE", f"{ENTRIES}/columns", 11),
    ("[id, body]", "[id, body, id]", "NAME_TWICE", f"{ENTRIES}/columns/2", 11),
    ("subject.user_id", "user_id", "MATCH_UNKNOWN", f"{ENTRIES}/match/user_id", 10),
    ("subject.user_id", "subject.", "MATCH_UNKNOWN", f"{ENTRIES}/match/user_id", 10),
    ("{user_id: subject.user_id}", "{}", "MATCH_NAMES_NOBODY", f"{ENTRIES}/match", 10),
    ("{user_id: subject.user_id}", "{t: subject.tenant}", "MATCH_NAMES_NOBODY", None, 10),
    ("entry.id", "entrance.id", "MATCH_TABLE_UNKNOWN", NOTES, 15),
    ("subject.user_id", "app.note.id", "MATCH_CYCLE", ENTRIES, 8),
    ("table: app.note", "table: entry", "MATCH_AMBIGUOUS", NOTES, 15),
    ("erase: delete\n  notes", "erase: remove\n  notes", "TREATMENT_UNKNOWN", None, 13),
    ("erase: delete\n  notes", "erase: [delete]\n  notes", "TREATMENT_UNKNOWN", None, 13),
    ("erase: delete\n  notes", "erase: {keep: ever}\n  notes", "RETENTION_RULE_UNKNOWN", None, 13),
    ("erase: delete\n  notes", "erase: {keep: 7}\n  notes", "WRONG_TYPE", None, 13),
    ("erase: delete\n  notes", "erase: {anonymise: {}}\n  notes", "VALUE_EMPTY", None, 13),
    (
        "erase: delete\n  notes",
        "erase: {anonymise: {user_id: [x]}}\n  notes",
        "WRONG_TYPE",
        f"{ENTRIES}/erase/anonymise/user_id",
        13,
    ),
    (
        "erase: delete\n  notes",
        "erase: {anonymise: {body: gone}}\n  notes",
        "ANONYMISED_STILL_NAMES",
        f"{ENTRIES}/erase",
        13,
    ),
    (
        "erase: delete\n  notes",
        "erase: {keep: tax-law-7y, scrub: [user_id]}\n  notes",
        "SCRUBS_ITS_MATCH",
        f"{ENTRIES}/erase",
        13,
    ),
    (
        ", from: issued_on}",
        "}\nx: y",
        "KEY_UNKNOWN",
        "/x",
        6,
    ),
    ("erase: delete\n    ig", "erase: {keep: tax-law-7y}\n    ig", "OUTLIVES_ITS_MATCH", NOTES, 15),
    (
        "erase: delete\n    ig",
        "erase: {anonymise: {text: gone}}\n    ig",
        "OUTLIVES_ITS_MATCH",
        NOTES,
        15,
    ),
    ("{rank: not personal}", "{id: nothing}", "COLUMN_TWICE", f"{NOTES}/ignore", 20),
    ("{rank: not personal}", "{rank: }", "WRONG_TYPE", f"{NOTES}/ignore/rank", 20),
    ("{rank: not personal}", "{rank: no}", "WRONG_TYPE", f"{NOTES}/ignore/rank", 20),
    ("{rank: not personal}", "[rank]", "WRONG_TYPE", f"{NOTES}/ignore", 20),
    (
        "    ignore:",
        "    files: {name: text, media_type: text, bytes: id}\n    ignore:",
        "COLUMN_TWICE",
        f"{NOTES}/columns",
        18,
    ),
    ("    ignore:", "    files: {name: text}\n    ignore:", "KEY_MISSING", f"{NOTES}/files", 20),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "pointer", "line"), MISTAKES, ids=[str(m[2]) for m in MISTAKES]
)
def test_each_mistake_is_named_where_it_stands(
    old: str, new: str, code: str, pointer: str | None, line: int
) -> None:
    assert old in GOOD
    with pytest.raises(DeclarationError) as caught:
        parse(GOOD.replace(old, new, 1), "journal.source.yaml")

    error = caught.value
    assert (error.code, error.file) == (code, "journal.source.yaml")
    assert pointer is None or error.pointer == pointer
    assert abs(error.line - line) <= 1
    assert error.sentence.endswith(".")
    assert error.next_step
    assert str(error).startswith(f"journal.source.yaml:{error.line}: ")


def test_a_retention_needs_a_start() -> None:
    text = GOOD.replace(", from: issued_on", "").replace(
        "erase: delete", "erase: {keep: tax-law-7y}"
    )

    with pytest.raises(DeclarationError, match="RETENTION_START_MISSING"):
        parse(text)


def test_one_section_cannot_forget_the_tenant_that_another_names() -> None:
    text = DECLARATION.replace(
        "{tenant: subject.tenant, author_id: subject.patient_id}", "{author_id: subject.patient_id}"
    )

    with pytest.raises(DeclarationError, match="TENANT_FORGOTTEN") as caught:
        parse(text)
    assert caught.value.pointer == "/sections/remarks"


def test_a_misspelt_key_is_answered_with_the_likely_one() -> None:
    with pytest.raises(DeclarationError) as caught:
        parse(GOOD.replace("purpose: keep your journal", "purposes: x"))

    assert caught.value.next_step == "Did you mean `purpose`?"


def test_a_pointer_escapes_what_json_pointers_escape() -> None:
    with pytest.raises(DeclarationError) as caught:
        parse(GOOD.replace("source: journal", "a/b~c: 1\nsource: journal"))

    assert caught.value.pointer == "/a~1b~0c"

"""docs/ says what the code says: generated blocks are current, and every word is in the glossary."""

import re
from pathlib import Path
from typing import Final

import pytest

from schemas.catalogue import COMMANDS, EVENTS, ORDERS, REPORTS
from schemas.topics import SERVICES
from tests.architecture.documents.generating import BLOCKS, COMMAND, PAGES, current, named
from tests.architecture.tree import ROOMS, ROOT

DOCUMENTS: Final = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ]
)
RECORDS: Final = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
# Words within a message's name that mean nothing but themselves.
PLAIN: Final = frozenset({"became", "no", "of"})


def _glossary() -> str:
    return (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").lower()


def _terms() -> set[str]:
    """The words that the glossary explains: the first column of its tables."""
    cells = (line.split("|")[1] for line in _glossary().splitlines() if line.startswith("|"))
    return {word for cell in cells for word in re.findall(r"[a-z]+", cell)}


def _nouns(cls: type) -> list[str]:
    """What a message is about: its name without the verb at its beginning or end."""
    words = [word.lower() for word in re.findall(r"[A-Z][a-z]+", cls.__name__)]
    if cls in (*COMMANDS, *ORDERS):
        words = words[1:]
    if cls in (*EVENTS, *REPORTS):
        words = words[:-1]
    return words


@pytest.mark.parametrize("page", PAGES)
def test_what_is_drawn_from_the_code_is_current(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")

    assert text == current(text), f"run `.venv/bin/{COMMAND}`"


def test_every_block_stands_in_a_page_once() -> None:
    placed = [name for page in PAGES for name in named((ROOT / page).read_text(encoding="utf-8"))]

    assert sorted(placed) == sorted(BLOCKS)


@pytest.mark.parametrize("cls", [*COMMANDS, *EVENTS, *ORDERS], ids=lambda cls: cls.__name__)
def test_a_message_is_named_in_words_of_the_glossary(cls: type) -> None:
    terms = _terms()
    unexplained = {noun for noun in _nouns(cls) if not {noun, noun.removesuffix("s")} & terms}

    assert unexplained - PLAIN == set()


def test_who_does_the_work_is_in_the_glossary() -> None:
    processes = {service for service in SERVICES if service not in ("request_api", "projections")}

    assert {name.removesuffix("s") for name in processes} <= _terms()


def test_every_room_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [room for room in ROOMS if f"`{room}/`" not in readme] == []
    assert [s for s in SERVICES if f"`services.{s}`" not in readme and f"`{s}`" not in readme] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_no_link_leads_nowhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text)

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_file_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rooms = "|".join((*ROOMS, "tests", "docs"))
    named_files = re.findall(rf"`((?:{rooms})/[\w./-]+)`", text)

    assert [name for name in named_files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: p.name)
def test_a_record_of_a_decision_has_its_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert text.startswith(f"# {path.name[:4]}: ")
    assert re.search(r"^Status: ", text, re.MULTILINE)
    assert parts == ["The question", "What could be done", "What was decided", "What follows"]


def test_records_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(len(RECORDS)))

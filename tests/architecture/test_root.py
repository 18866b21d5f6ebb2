"""The root holds what a newcomer looks for, and nothing that grew there."""

import subprocess
from typing import Final

from tests.architecture.tree import ROOMS, ROOT

FILES: Final = {
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "docker-compose.yml",
    "pyproject.toml",
    "requirements.lock",
}
FOLDERS: Final = {*ROOMS, ".ci", "docs", "tests"}
# A house has no room for what belongs nowhere.
NO_NOUNS: Final = {
    "base",
    "common",
    "data",
    "helper",
    "helpers",
    "info",
    "manager",
    "misc",
    "shared",
    "util",
    "utils",
}


def _files() -> set[str]:
    """Everything that is, or is about to be, part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}


def test_the_root_holds_what_it_is_known_for() -> None:
    paths = _files()

    assert {path for path in paths if "/" not in path} == FILES
    assert {path.partition("/")[0] for path in paths if "/" in path} == FOLDERS


def test_every_file_is_named_after_something() -> None:
    parts = {part.partition(".")[0] for path in _files() for part in path.split("/")}

    assert parts & NO_NOUNS == set()


def test_every_room_says_what_it_is() -> None:
    for room in FOLDERS & set(ROOMS):
        opening = (ROOT / room / "__init__.py").read_text(encoding="utf-8")
        assert opening.startswith('"""'), f"{room}/__init__.py is the map of the room"

"""Releasing writes what is in force, freezes what is new, and never changes what is frozen."""

import runpy
import sys
from pathlib import Path

import pytest

from schemas import codec, releasing
from schemas.catalogue import MESSAGES


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders in the place of schemas/avsc and schemas/frozen."""
    for folder in ("avsc", "frozen"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(codec, "FROZEN", tmp_path / "frozen")
    monkeypatch.setattr(releasing, "FROZEN", tmp_path / "frozen")
    monkeypatch.setattr(releasing, "IN_FORCE", tmp_path / "avsc")
    return tmp_path


def test_the_first_release_freezes_every_message(room: Path) -> None:
    added = releasing.release()

    assert len(added) == len(MESSAGES)
    assert {p.stem for p in (room / "avsc").iterdir()} == set(MESSAGES)
    assert {p.name.split(".")[0] for p in (room / "frozen").iterdir()} == set(MESSAGES)


def test_a_release_without_changes_freezes_nothing(room: Path) -> None:
    frozen = releasing.release()
    frozen[0].write_text("as it was released")

    assert releasing.release() == []
    assert frozen[0].read_text() == "as it was released"


def test_releasing_is_a_command(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module that runs as a command is a second one, so the first must be out of the way.
    monkeypatch.delitem(sys.modules, "schemas.releasing")

    runpy.run_module("schemas.releasing", run_name="__main__")

    assert len(list((room / "frozen").iterdir())) == len(MESSAGES)


def test_the_digest_over_all_schemas_stays_while_they_stay() -> None:
    assert codec.schemas_sha256() == codec.schemas_sha256()
    assert len(codec.schemas_sha256()) == 32

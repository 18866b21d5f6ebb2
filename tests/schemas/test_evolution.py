"""Every release reads every other: what was ever released, against what is in force.

Releasing writes what is in force, freezes what is new, and never changes what is frozen.
"""

import copy
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from rights.commands import SubmitExport
from schemas import codec, releasing
from schemas.catalogue import MESSAGES
from schemas.codec import FROZEN, MARKER, decode, fingerprint_of
from schemas.derivation import schema_of
from schemas.releasing import IN_FORCE, frozen_path, written
from schemas.upcasters import UPCASTERS
from tests.schemas.evolving import UnreadableError, check_full

MEND = "run `.venv/bin/python -m schemas.releasing` and commit what it wrote"
RELEASED = sorted(path.name for path in FROZEN.glob("*.avsc"))
BASE: dict[str, Any] = {
    "type": "record",
    "name": "SubmitExport",
    "namespace": "rights",
    "fields": [
        {"name": "handles_vault_id", "type": "string"},
        {"name": "sections", "type": {"type": "array", "items": "string"}, "default": []},
    ],
}


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_the_written_schemas_are_those_of_the_dataclasses() -> None:
    changed = [
        name for name, cls in MESSAGES.items() if _text(IN_FORCE / f"{name}.avsc") != written(cls)
    ]
    unfrozen = [name for name, cls in MESSAGES.items() if not frozen_path(cls).exists()]

    assert (changed, unfrozen) == ([], []), f"{changed} changed, {unfrozen} not frozen: {MEND}"


def test_no_schema_is_left_of_a_message_that_is_gone() -> None:
    assert {path.stem for path in IN_FORCE.glob("*.avsc")} == set(MESSAGES)


@pytest.mark.parametrize("file", RELEASED)
def test_every_release_reads_every_other(file: str) -> None:
    older = json.loads((FROZEN / file).read_text())

    assert file == f"{older['name']}.{fingerprint_of(older).hex()}.avsc", (
        "never change a frozen one"
    )
    assert older["name"] in MESSAGES, "a released message may lie on the log and stays readable"
    check_full(older, schema_of(MESSAGES[older["name"]]))


def _with(change: Any) -> dict[str, Any]:
    changed = copy.deepcopy(BASE)
    change(changed["fields"])
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.append({"name": "note", "type": "string"}),
        lambda fields: fields.pop(0),
        lambda fields: fields[0].update(type="long"),
        lambda fields: fields[1]["type"].update(items="long"),
        lambda fields: fields[0].update(name="vault_id"),
    ],
    ids=["a new field without default", "a field gone", "other type", "other items", "renamed"],
)
def test_a_change_that_readers_stumble_over_is_seen(change: Any) -> None:
    with pytest.raises(UnreadableError):
        check_full(BASE, _with(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.append({"name": "note", "type": "string", "default": ""}),
        lambda fields: fields.append({"name": "note", "type": ["null", "string"], "default": None}),
        lambda fields: fields.pop(1),
        lambda fields: fields.reverse(),
    ],
    ids=["a new field", "a new field that may be absent", "a field with default gone", "order"],
)
def test_a_change_that_readers_do_not_mind_is_allowed(change: Any) -> None:
    check_full(BASE, _with(change))

    assert _with(change) != BASE


@pytest.fixture
def earlier_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A message as a release wrote it that knew fewer fields; gives its bytes."""
    (tmp_path / "SubmitExport.avsc").write_text(json.dumps(BASE))
    # A message that was dropped later: its schema stays, and nobody asks for it.
    (tmp_path / "Gone.avsc").write_text(json.dumps({**BASE, "name": "Gone"}))
    monkeypatch.setattr(codec, "FROZEN", tmp_path)
    codec._by_prefix.cache_clear()
    # handles_vault_id "v1", and one section, "entries".
    return MARKER + fingerprint_of(BASE) + b"\x04v1" + b"\x02\x0eentries\x00"


@pytest.fixture(autouse=True)
def _known_schemas_are_read_again() -> Any:
    yield
    codec._by_prefix.cache_clear()


def test_bytes_of_an_earlier_release_are_read_with_todays_defaults(earlier_release: bytes) -> None:
    message = decode(earlier_release)

    assert message == SubmitExport(sections=("entries",), handles_vault_id="v1", language="en")


def test_what_a_default_cannot_say_an_upcaster_says(
    earlier_release: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("SubmitExport", fingerprint_of(BASE))
    monkeypatch.setitem(UPCASTERS, key, lambda value: {**value, "language": "de"})

    assert decode(earlier_release).language == "de"


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

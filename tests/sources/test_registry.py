"""Files and an environment in, sources out."""

from __future__ import annotations

from pathlib import Path

import pytest

from sources.contract import DeclarationError
from sources.registry import load
from tests.sources.clinic import DECLARATION


def test_all_declarations_of_a_folder_are_loaded_by_name(tmp_path: Path) -> None:
    (tmp_path / "clinic.source.yaml").write_text(DECLARATION)
    (tmp_path / "other.source.yaml").write_text(DECLARATION.replace(": clinic\n", ": other\n"))
    (tmp_path / "notes.yaml").write_text("not ours")

    sources = load([tmp_path], {"CLINIC_DSN": "postgresql://example.org/clinic"})

    assert sorted(sources) == ["clinic", "other"]
    assert sources["other"].describe().name == "other"


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    file = tmp_path / "clinic.source.yaml"
    file.write_text(DECLARATION)

    with pytest.raises(DeclarationError) as caught:
        load([file], {"CLINIC_DSN": ""})

    error = caught.value
    assert (error.code, error.pointer, error.line) == ("DATABASE_VARIABLE_MISSING", "/database", 4)
    assert "CLINIC_DSN" in str(error)


def test_two_files_cannot_declare_one_source(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.source.yaml").write_text(DECLARATION)

    with pytest.raises(DeclarationError, match="SOURCE_TWICE") as caught:
        load([tmp_path], {"CLINIC_DSN": "x"})

    assert caught.value.file.endswith("b.source.yaml")


def test_an_empty_folder_declares_nothing(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="DECLARATION_NOT_FOUND"):
        load([tmp_path], {})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.source.yaml").write_bytes(b"\xff\xfe\x00")

    for missing in (tmp_path / "bytes.source.yaml", tmp_path / "absent.source.yaml"):
        with pytest.raises(DeclarationError, match="FILE_UNREADABLE") as caught:
            load([missing], {})
        assert caught.value.file == str(missing)

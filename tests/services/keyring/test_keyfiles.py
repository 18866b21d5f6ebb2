"""Key files are made once, for their owner only, and refused in any other state."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pyrage
import pytest

from services.keyring.__main__ import main
from services.keyring.keyfiles import (
    KeyFileRefused,
    load_identity,
    load_kek,
    make_identity,
    make_kek,
)


def test_a_made_key_is_readable_by_its_owner_only_and_loads(tmp_path: Path) -> None:
    make_kek(tmp_path / "kek")

    assert stat.S_IMODE((tmp_path / "kek").stat().st_mode) == 0o600
    assert len(load_kek(tmp_path / "kek")) == 32


def test_two_made_keys_differ(tmp_path: Path) -> None:
    make_kek(tmp_path / "one")
    make_kek(tmp_path / "two")

    assert load_kek(tmp_path / "one") != load_kek(tmp_path / "two")


def test_a_made_identity_opens_what_was_sealed_to_it(tmp_path: Path) -> None:
    make_identity(tmp_path / "identity")

    identity = load_identity(tmp_path / "identity")

    assert pyrage.decrypt(pyrage.encrypt(b"hello", [identity.to_public()]), [identity]) == b"hello"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    make_kek(tmp_path / "kek")
    (tmp_path / "kek").chmod(mode)

    with pytest.raises(KeyFileRefused, match="read by others"):
        load_kek(tmp_path / "kek")


def test_a_link_to_a_key_is_refused(tmp_path: Path) -> None:
    make_kek(tmp_path / "kek")
    (tmp_path / "link").symlink_to(tmp_path / "kek")

    with pytest.raises(KeyFileRefused, match="cannot be read"):
        load_kek(tmp_path / "link")


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused):
        load_kek(tmp_path)


@pytest.mark.parametrize("content", [b"", b"00", b"g" * 64, b"00" * 33, b"\xff" * 64])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kek"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(KeyFileRefused) as refused:
        load_kek(path)

    assert "gggg" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "AGE-SECRET-KEY-1NONSENSE", "one\ntwo"])
def test_what_is_no_identity_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "identity"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(KeyFileRefused, match="no age identity"):
        load_identity(path)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_kek(tmp_path / "kek")
    before = load_kek(tmp_path / "kek")

    with pytest.raises(KeyFileRefused, match="never overwritten"):
        make_kek(tmp_path / "kek")

    assert load_kek(tmp_path / "kek") == before


def test_the_command_makes_both_files_and_refuses_to_do_it_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--make-kek", str(tmp_path / "kek"), "--make-identity", str(tmp_path / "id")]

    assert main(arguments) == 0
    assert load_kek(tmp_path / "kek")
    assert load_identity(tmp_path / "id")
    assert main(arguments) == 2

    assert "never overwritten" in capsys.readouterr().err


def test_a_key_that_cannot_be_written_is_a_clear_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--make-kek", str(tmp_path / "no" / "folder")]) == 2

    assert "cannot be written: No such file or directory" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    make_kek(tmp_path / "kek")
    os.chown(tmp_path / "kek", 65534, 65534)

    with pytest.raises(KeyFileRefused, match="somebody else"):
        load_kek(tmp_path / "kek")

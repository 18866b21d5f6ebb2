"""Commands that are written down exist, and the README stays short."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.tree import ROOT

README_LINES_MAX: Final = 200
PAGES: Final = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    ]
)
_CODE: Final = re.compile(r"```\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def _commands(path: Path) -> list[str]:
    """Every line of code in a page, whether in a block or in a sentence."""
    text = path.read_text(encoding="utf-8")
    blocks = (block or inline for block, inline in _CODE.findall(text))
    lines = (line.partition("  #")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def _named(pattern: str) -> set[str]:
    found = re.compile(pattern)
    return {m[1] for page in PAGES for line in _commands(page) if (m := found.match(line))}


def _helped(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "devstack", *arguments, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "200", "PATH": "", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert len(lines) < README_LINES_MAX


def test_the_readme_names_the_two_commands() -> None:
    commands = _commands(ROOT / "README.md")

    assert {"make demo", "make test"} <= set(commands)


def test_every_make_target_that_is_written_down_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    assert _named(r"(?:\w+=\S+ )?make ([a-z-]+)")
    assert _named(r"(?:\w+=\S+ )?make ([a-z-]+)") <= targets


def test_every_command_of_habeas_that_is_written_down_exists() -> None:
    helped = _helped()
    written = _named(r"(?:\.venv/bin/)?habeas ([a-z]+)")

    assert written >= {"up", "down", "status", "doctor", "demo", "audit"}
    assert [
        command for command in written if not re.search(rf"^\W*{command}\b", helped, re.MULTILINE)
    ] == []


@pytest.mark.parametrize("command", ["verify", "dump"])
def test_every_option_of_the_audit_that_is_written_down_exists(command: str) -> None:
    helped = _helped("audit", command)
    lines = [line for page in PAGES for line in _commands(page)]
    options = {
        option
        for line in lines
        if re.match(rf"(habeas audit )?{command}\b", line)
        for option in re.findall(r"--[a-z-]+", line)
    }

    assert [option for option in options if option not in helped] == []


def test_every_module_that_is_written_down_as_a_command_is_one() -> None:
    modules = _named(r"(?:\.venv/bin/)?python -m ([\w.]+)(?!<)")
    places = {module: ROOT / module.replace(".", "/") for module in modules if "<" not in module}

    assert places
    assert [
        module
        for module, place in places.items()
        if not (place / "__main__.py").exists() and "__main__" not in _text(place)
    ] == []


def _text(place: Path) -> str:
    file = place.with_suffix(".py")
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_continuous_integration_runs_the_commands_of_the_readme() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    called = [line for line in run.splitlines() if line.startswith("make ")]
    assert called == ["make check", "make test"]

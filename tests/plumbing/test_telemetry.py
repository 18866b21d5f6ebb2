"""Log lines: one event one line, and neither control characters nor personal data get through."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing import telemetry
from plumbing.clock import ManualClock
from plumbing.telemetry import FieldRefusedError

CANARY = "ada.canary@example.org"
CLOCK = ManualClock(datetime(2026, 11, 21, 10, 30, tzinfo=UTC))
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_current", telemetry._current)
    # Production takes over the interpreter's hooks, which belong to pytest here.
    monkeypatch.setattr(telemetry, "_take_over", lambda: None)


def said(*, strict: bool) -> Lines:
    stream = io.StringIO()
    telemetry.configure("decider", stream, strict=strict, clock=CLOCK)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_who_and_what() -> None:
    lines = said(strict=True)

    telemetry.get("services.decider").bind(partition=3).info("decided", count=7, code=None)

    assert lines() == [
        {
            "at": "2026-11-21T10:30:00.000+00:00",
            "level": "info",
            "service": "decider",
            "event": "decided",
            "logger": "services.decider",
            "partition": 3,
            "count": 7,
            "code": None,
        }
    ]


def test_a_logger_made_before_configuration_speaks_after_it() -> None:
    log = telemetry.get("early")
    lines = said(strict=True)

    log.warning("late")

    assert lines()[0]["level"] == "warning"


def test_an_unlisted_field_raises_in_tests() -> None:
    said(strict=True)

    with pytest.raises(FieldRefusedError, match="email"):
        telemetry.get("x").info("signed_in", email=CANARY)


def test_an_unlisted_field_is_dropped_and_counted_in_production() -> None:
    lines = said(strict=False)

    telemetry.get("x").info("signed_in", email=CANARY, name="Ada", count=1)

    [line] = lines()
    assert line["fields_dropped"] == 2
    assert line["count"] == 1
    assert CANARY not in json.dumps(line)


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        f"Key (email)=({CANARY}) already exists",
        "postgresql://habeas:hunter2@db/habeas",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwZXJzb24ifQ.c2lnbmF0dXJl",
    ],
)
def test_an_address_or_a_token_is_withheld_even_from_a_listed_field(value: str) -> None:
    lines = said(strict=False)

    telemetry.get("x").info("answered", reference=value)

    assert "reference" not in lines()[0]
    assert lines()[0]["fields_dropped"] == 1


@pytest.mark.parametrize(
    "value", [{"a": 1}, [1], b"bytes", object(), datetime(2026, 1, 1, tzinfo=UTC)]
)
def test_a_value_is_plain_or_absent(value: Any) -> None:
    lines = said(strict=False)
    telemetry.get("x").info("answered", count=value)
    assert "count" not in lines()[0]


def test_an_event_name_is_a_name_and_no_sentence() -> None:
    lines = said(strict=False)

    telemetry.get("x").info(f"signed in {CANARY}")

    assert lines()[0]["event"] == "unnamed"
    said(strict=True)
    with pytest.raises(FieldRefusedError):
        telemetry.get("x").info("Signed in")


def test_control_characters_are_written_out() -> None:
    lines = said(strict=True)

    telemetry.get("x").info("read", code='a\r\n{"event":"forged"}\x1b[2J\u202e\u2028\x00z')

    [line] = lines()
    assert line["code"] == 'a\\r\\n{"event":"forged"}\\x1b[2J\\u202e\\u2028\\x00z'


@given(st.text(max_size=400))
def test_whatever_is_said_is_one_short_line_without_controls(text: str) -> None:
    stream = io.StringIO()
    sink = telemetry._Sink("x", stream, strict=False, clock=CLOCK)

    sink.write("info", "said", {"code": text})

    written = stream.getvalue()
    assert written.endswith("\n")
    assert written.count("\n") == 1
    assert written.isascii()
    code = json.loads(written).get("code", "")
    assert len(code) <= telemetry.TEXT_MAX
    assert not any(ord(character) < 32 or ord(character) == 127 for character in code)


def test_a_number_json_has_no_word_for_is_still_json() -> None:
    lines = said(strict=True)
    telemetry.get("x").info("measured", seconds=float("nan"))
    assert lines()[0]["seconds"] == "nan"


def fail() -> None:
    try:
        {"somebody": "else"}[CANARY]
    except KeyError as error:
        raise telemetry_error() from error


def telemetry_error() -> Exception:
    error = RuntimeError(f"could not write {CANARY}")
    error.code = "WRITE_FAILED"  # type: ignore[attr-defined]
    return error


def test_an_exception_is_its_type_code_and_place_and_never_its_message() -> None:
    lines = said(strict=True)

    try:
        fail()
    except RuntimeError as error:
        telemetry.get("x").error("failed", error=error)

    [line] = lines()
    assert line["error"] == "builtins.RuntimeError"
    assert line["error_code"] == "WRITE_FAILED"
    assert line["caused_by"] == "builtins.KeyError"
    assert line["place"].split(":")[0].endswith("test_telemetry")
    assert CANARY not in json.dumps(line)


def test_a_code_that_is_no_code_is_left_out() -> None:
    lines = said(strict=True)
    error = RuntimeError()
    error.code = f"not a code: {CANARY}"  # type: ignore[attr-defined]

    telemetry.get("x").error("failed", error=error)

    assert "error_code" not in lines()[0]


def test_a_librarys_line_says_only_where_it_came_from() -> None:
    lines = said(strict=False)
    record = logging.LogRecord(
        "botocore", logging.ERROR, "x.py", 7, "could not store %s", (CANARY,), None
    )

    telemetry._LibraryLines().emit(record)

    [line] = lines()
    assert (line["event"], line["logger"], line["place"]) == ("library", "botocore", "botocore:7")
    assert CANARY not in json.dumps(line)


def test_what_kills_a_process_is_reported_without_its_words() -> None:
    program = f"""
import logging, threading, warnings
from plumbing import telemetry
telemetry.configure("decider")
logging.getLogger("library").warning("about %s", "{CANARY}")
logging.getLogger("library").info("about %s", "{CANARY}")
warnings.warn("about {CANARY}")
def die():
    raise ValueError("{CANARY}")
thread = threading.Thread(target=die, name="worker")
thread.start()
thread.join()
die()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert CANARY not in ended.stdout + ended.stderr
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["library", "library", "uncaught", "uncaught"]
    assert lines[2]["thread"] == "worker"

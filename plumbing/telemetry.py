"""What a process says about itself: JSON lines of an event name and allow-listed fields.

Rule 1: no personal data. Fields are allow-listed (`log_fields`), texts that look like an address or a token are
withheld, and exceptions appear by type, code and place, never by message: messages of drivers
quote rows.
Rule 2: one event, one line: control characters are written out, long texts are cut.
Rule 3: a field that breaks these rules is a bug. In tests it raises (strict); in production the
line goes out without it and counts it, because losing a log line hides the next bug.
"""

import json
import logging
import math
import re
import sys
import threading
import types
import unicodedata
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from plumbing.clock import Clock, SystemClock
from plumbing.log_fields import FIELDS

TEXT_MAX: Final = 200
Value = str | int | float | bool | None
_EVENT = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# An e-mail address, or the beginning every JSON Web Token has: {" in base64url.
_WITHHELD = re.compile(r"[^\s@]@[^\s@]|eyJ[A-Za-z0-9_-]{8}")
# Controls, formats (bidi overrides), surrogates, line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class FieldRefusedError(AssertionError):
    """Somebody tried to log what may not be logged."""


class Logger:
    """A named source of events with fields bound to it."""

    __slots__ = ("_bound",)

    def __init__(self, bound: Mapping[str, Value | BaseException]) -> None:
        self._bound = dict(bound)

    def bind(self, **fields: Value) -> "Logger":
        """The same logger, saying `fields` with every event."""
        return Logger({**self._bound, **fields})

    def info(self, event: str, **fields: Value | BaseException) -> None:
        _current.write("info", event, {**self._bound, **fields})

    def warning(self, event: str, **fields: Value | BaseException) -> None:
        _current.write("warning", event, {**self._bound, **fields})

    def error(self, event: str, **fields: Value | BaseException) -> None:
        _current.write("error", event, {**self._bound, **fields})


def get(name: str) -> Logger:
    """A logger; it may be made before `configure` ran."""
    return Logger({"logger": name})


def configure(
    service: str,
    stream: TextIO | None = None,
    *,
    strict: bool = False,
    clock: Clock | None = None,
) -> None:
    """Send events to `stream` (default: standard error, whatever it is at that moment).

    Not strict means a real process: then libraries' own log lines and uncaught exceptions also
    come out under our rules, because their messages quote what they were working on.
    """
    global _current  # noqa: PLW0603 -- A process has one standard error.
    _current = _Sink(service, stream or _StandardError(), strict=strict, clock=clock)
    if not strict:
        _take_over()


class _StandardError:
    """Whatever `sys.stderr` is now: a test runner exchanges it between two tests."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Sink:
    def __init__(
        self, service: str, stream: Any, *, strict: bool, clock: Clock | None = None
    ) -> None:
        self._service = service
        self._strict = strict
        self._clock = clock or SystemClock()
        self._out = structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[self._vet, self._stamp, structlog.processors.JSONRenderer(json.dumps)],
            wrapper_class=structlog.BoundLogger,
            context_class=dict,
        )

    def write(self, level: str, event: str, fields: Mapping[str, Value | BaseException]) -> None:
        getattr(self._out, level)(event, **fields)

    def _vet(
        self, _logger: Any, _level: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        refused: list[str] = []
        event = line.pop("event")
        if not _EVENT.fullmatch(event):
            refused.append("the event's name")
            event = "unnamed"
        error = line.pop("error", None)
        if isinstance(error, BaseException):
            line.update(_of_exception(error))
        elif error is not None:
            line["error"] = error
        vetted: dict[str, Any] = {"event": event}
        for name, value in line.items():
            if name in FIELDS and _is_plain(value) and not _is_withheld(value):
                vetted[name] = _shown(value)
            else:
                refused.append(name)
        if refused and self._strict:
            raise FieldRefusedError(f"{event}: may not be logged: {', '.join(refused)}")
        if refused:
            vetted["fields_dropped"] = len(refused)
        return vetted

    def _stamp(
        self, _logger: Any, level: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        at = self._clock.now().isoformat(timespec="milliseconds")
        return {"at": at, "level": level, "service": self._service, **line}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_withheld(value: object) -> bool:
    return isinstance(value, str) and _WITHHELD.search(value) is not None


def _shown(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN.
    if not isinstance(value, str):
        return value
    text = "".join(map(_escaped, value[: TEXT_MAX + 1]))
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _UNSAFE_CATEGORIES:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _of_exception(error: BaseException) -> Iterator[tuple[str, str]]:
    """Type, code and place of an exception; never its message."""
    yield "error", _type_name(error)
    # `code` is ours and botocore-like, `sqlstate` is psycopg's.
    for attribute in ("code", "sqlstate"):
        code = getattr(error, attribute, None)
        if isinstance(code, str) and _CODE.fullmatch(code):
            yield "error_code", code
            break
    if error.__traceback__ is not None:
        yield "place", _place(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield "caused_by", _type_name(cause)


def _type_name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _place(traceback: types.TracebackType) -> str:
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "?")
    return f"{module}:{traceback.tb_lineno}"


class _LibraryLines(logging.Handler):
    """A library's log line by its place alone; its text may quote anything."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        place = f"{record.name}:{record.lineno}"
        fields: dict[str, Value | BaseException] = {"logger": record.name, "place": place}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = record.exc_info[1]
        _current.write(level, "library", fields)


def _take_over() -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryLines()], force=True)
    logging.captureWarnings(capture=True)

    def on_uncaught(
        _type: type[BaseException], error: BaseException, _trace: types.TracebackType | None
    ) -> None:
        _current.write("error", "uncaught", {"error": error})

    def on_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread else "?"
        _current.write("error", "uncaught", {"error": arguments.exc_value, "thread": name})

    sys.excepthook = on_uncaught
    threading.excepthook = on_uncaught_in_thread


# Until a process configures itself we are in a test: events go to standard error and are strict.
_current = _Sink("unconfigured", _StandardError(), strict=True)

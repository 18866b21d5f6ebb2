"""Named places where a test may kill, stop, delay or fail a process; nothing happens otherwise.

A spec is `name:nth:action`, several joined by commas: `decider.committing:3:kill`. The action runs
on exactly the nth hit of that name: `kill` (SIGKILL), `stop` (SIGSTOP), `sleep=<milliseconds>`,
`err` (raises `FailpointError`). `plumbing.config` arms it once from HABEAS_FP at process start.
"""

import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from typing import Final

NAMES: Final = frozenset(
    {
        "decider.consumed",
        "decider.begun",
        "decider.produced",
        "decider.committing",
        "decider.committed",
        "decider.read_back",
        "decider.snapshot",
        "collector.order_read",
        "collector.fragment",
        "collector.fragments_done",
        "collector.reported",
        "bundler.order_read",
        "bundler.upload_started",
        "bundler.part",
        "bundler.completed",
        "bundler.verified",
        "bundler.reported",
        "eraser.order_read",
        "eraser.intent",
        "eraser.called",
        "eraser.reported",
        "keyring.put",
        "keyring.dying",
        "keyring.deleted",
        "keyring.reported",
        "scheduler.sending",
        "scheduler.sent",
        "notifier.order_read",
        "notifier.sent",
        "notifier.reported",
        "projector.applied",
        "projector.committed",
        "api.producing",
        "api.produced",
        "api.decided",
        "intake.read",
        "intake.filed",
        "intake.answered",
    }
)

_CHARGE = re.compile(
    r"(?P<name>[a-z_.]+):(?P<nth>[1-9][0-9]{0,8}):(?P<action>kill|stop|err|sleep=(?P<ms>[0-9]{1,7}))"
)


class FailpointError(Exception):
    """What an armed `err` raises: an operating error, as a broken connection would be."""


class FailpointSpecError(ValueError):
    """The spec cannot be read or names a failpoint that nobody declared."""


@dataclass(frozen=True, slots=True)
class _Charge:
    nth: int
    action: str
    sleep_seconds: float


_lock = threading.Lock()
_charges: dict[str, list[_Charge]] = {}
_hits: dict[str, int] = {}


def fp(name: str) -> None:
    """Mark a place. Free when nothing is armed."""
    if name not in NAMES:
        raise AssertionError(f"failpoint {name!r} is not declared in plumbing.failpoints.NAMES")
    if _charges:
        _hit(name)


def arm(spec: str) -> None:
    """Replace whatever is armed by `spec`, with hit counters at zero."""
    charges: dict[str, list[_Charge]] = {}
    for text in filter(None, (part.strip() for part in spec.split(","))):
        name, charge = _read_charge(text)
        charges.setdefault(name, []).append(charge)
    with _lock:
        _charges.clear()
        _hits.clear()
        _charges.update(charges)


def disarm() -> None:
    arm("")


def _read_charge(text: str) -> tuple[str, _Charge]:
    match = _CHARGE.fullmatch(text)
    if match is None:
        raise FailpointSpecError(f"{text!r} is not name:nth:kill|stop|sleep=ms|err")
    if match["name"] not in NAMES:
        raise FailpointSpecError(f"there is no failpoint {match['name']!r}")
    return match["name"], _Charge(
        nth=int(match["nth"]),
        action=match["action"].partition("=")[0],
        sleep_seconds=int(match["ms"] or 0) / 1000,
    )


def _hit(name: str) -> None:
    with _lock:
        _hits[name] = count = _hits.get(name, 0) + 1
        due = [charge for charge in _charges.get(name, ()) if charge.nth == count]
    for charge in due:
        _fire(name, charge)


def _fire(name: str, charge: _Charge) -> None:
    match charge.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            time.sleep(charge.sleep_seconds)
        case _:
            raise FailpointError(name)

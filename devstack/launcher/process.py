"""One row of the launcher's table, and the order in which rows start."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from devstack.launcher.errors import StackError

# How the log line begins with which plumbing.telemetry says that a service serves.
READY_EVENT = b'"event": "ready"'
_MEND = "Mend the table of processes in devstack/."


def _nothing() -> None:
    return None


def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    name: str
    argv: tuple[str, ...]
    # On top of the environment that the supervisor itself was given.
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Rows that must be ready before this one is started, and stop after it.
    needs: tuple[str, ...] = ()
    # Run before each start, in a thread: settings files, formatting a disk, making a cluster.
    prepare: Callable[[], None] = _nothing
    # Asked again and again until it says yes; must answer within about a second.
    ready: Callable[[], bool] = _at_once
    # It is not ready before it has said this in its log (our services: READY_EVENT).
    ready_mark: bytes = b""
    patience: float = 60.0
    # Looked at before the start, so that a taken port is said and not guessed from a log.
    ports: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 15.0
    folder: Path | None = None


def in_order(table: Iterable[Process]) -> tuple[Process, ...]:
    """Needs first. A cycle, an unknown or a repeated name is a mistake in the table."""
    by_name: dict[str, Process] = {}
    for process in table:
        if process.name in by_name:
            raise StackError("bad_table", f"{process.name} stands in the table twice.", _MEND)
        by_name[process.name] = process
    graph = {name: process.needs for name, process in by_name.items()}
    for name, needs in graph.items():
        for need in needs:
            if need not in by_name:
                raise StackError("bad_table", f"{name} needs {need}, which no row starts.", _MEND)
    try:
        order = tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise StackError("bad_table", f"These need each other: {circle}.", _MEND) from error
    return tuple(by_name[name] for name in order)

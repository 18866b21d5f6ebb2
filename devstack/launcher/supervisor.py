"""Starts a table of processes in order, watches them, stops them in reverse, and dies loudly."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from devstack.launcher.children import Children
from devstack.launcher.errors import StackError, no_disk
from devstack.launcher.pidfiles import SUPERVISOR, PidFiles
from devstack.launcher.process import Process, in_order

TICK = 0.05


class Stopping(Protocol):
    """A `threading.Event`, or plumbing's `Stop`."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Supervisor:
    """Owns the processes of one state folder: at most one supervisor holds a folder at a time.

    `start()` and `start("kafka")` may be called again: what runs is left alone. If anything fails
    to come up, what this call started is stopped again before the error is raised.
    """

    def __init__(
        self,
        table: Iterable[Process],
        *,
        state: Path,
        stop: Stopping | None = None,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._table = {process.name: process for process in in_order(table)}
        self._state = state
        self._stop_asked = stop or threading.Event()
        self._say = say
        self._pids = PidFiles(state / "run")
        self._held: IO[str] | None = None
        self._children: Children | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def children(self) -> Children:
        if self._children is None:
            raise StackError("not_running", "Nothing has been started yet.", "Call start() first.")
        return self._children

    def add(self, processes: Iterable[Process]) -> None:
        """Put rows into the table, in the place of those of the same name; `start` starts them."""
        rows = self._table | {row.name: row for row in processes}
        self._table = {row.name: row for row in in_order(rows.values())}

    def start(self, *names: str) -> None:
        """Start these and what they need (all rows if none is named), each as soon as it can."""
        wanted = self._with_needs(names or tuple(self._table))
        before = self._children.names() if self._children else ()
        absent = [process for process in wanted if process.name not in before]
        if not absent:
            return
        try:
            self._hold()
            self._bring_up(absent)
        except BaseException:
            if self._children:
                self._children.end(set(self._children.names()) - set(before))
            if not before:
                self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in reverse order and leave nothing behind."""
        if self._children is not None:
            self._children.end(self._children.names())
            self._children.dismiss_guard()
            self._children = None
        if self._held is not None:
            self._pids.remove(SUPERVISOR)
            self._held.close()
            self._held = None

    def restart(self, *names: str) -> None:
        """Stop these (dead or alive) and start them again; the others are not touched."""
        self.children.end(names)
        self.start(*names)

    def kill(self, name: str) -> None:
        """End one with SIGKILL, as tests of crashes do, and wait until it is gone."""
        self.children.signal(name, signal.SIGKILL)
        self.children.wait(name, 10)

    def watch(self) -> None:
        """Block until asked to stop, then stop everything; if a child dies first, raise as well."""
        try:
            while not self._stop_asked.wait(4 * TICK):
                self.children.check()
        finally:
            self.stop()

    def _with_needs(self, names: tuple[str, ...]) -> list[Process]:
        needed: set[str] = set()
        looked_at = list(names)
        while looked_at:
            name = looked_at.pop()
            if name not in self._table:
                known = ", ".join(self._table)
                raise StackError("no_such_process", f"There is no {name}.", f"There are: {known}.")
            if name not in needed:
                needed.add(name)
                looked_at.extend(self._table[name].needs)
        return [process for process in self._table.values() if process.name in needed]

    def _hold(self) -> None:
        """Become the only supervisor of this folder and clear away what a killed one left."""
        if self._held is not None:
            return
        run, logs = self._state / "run", self._state / "log"
        try:
            run.mkdir(parents=True, exist_ok=True)
            logs.mkdir(exist_ok=True)
            held = (run / "lock").open("w", encoding="ascii")
        except OSError as error:
            raise no_disk(self._state, error) from error
        try:
            # The kernel lets go of it when we die, however we die: this lock is never stale.
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held.close()
            raise StackError(
                "already_running",
                f"A stack is already running in {self._state}.",
                "Use it as it is (`habeas status`), or stop it with `habeas down`.",
            ) from error
        self._held = held
        for name in self._pids.end_leftovers():
            self._say(f"{name}, left by a run that was killed, was stopped.")
        self._pids.write(SUPERVISOR, os.getpid())
        self._children = Children(logs=logs, pids=self._pids, say=self._say)

    def _bring_up(self, absent: list[Process]) -> None:
        waiting = {process.name: process for process in absent}
        steps: dict[str, _Start] = {}
        with ThreadPoolExecutor(4, thread_name_prefix="prepare") as pool:
            while waiting or steps:
                for name, process in list(waiting.items()):
                    if not any(need in waiting or need in steps for need in process.needs):
                        steps[name] = _Start(waiting.pop(name), self.children, pool)
                for name, step in list(steps.items()):
                    if step.is_up():
                        del steps[name]
                        self._say(f"{name} is ready.")
                self.children.check()
                if self._stop_asked.wait(TICK):
                    raise StackError(
                        "interrupted", "The start was interrupted.", "Nothing was left running."
                    )


class _Start:
    """One process on its way up: prepared, spawned, ready."""

    def __init__(self, process: Process, children: Children, pool: ThreadPoolExecutor) -> None:
        self._process = process
        self._children = children
        self._preparing: Future[None] | None = pool.submit(process.prepare)
        self._deadline = 0.0

    def is_up(self) -> bool:
        """Take the next step if it can be taken now."""
        if self._preparing is not None:
            if self._preparing.done():
                self._preparing.result()
                self._preparing = None
                self._children.spawn(self._process)
                self._deadline = time.monotonic() + self._process.patience
            return False
        if self._children.is_ready(self._process.name):
            return True
        if time.monotonic() > self._deadline:
            name = self._process.name
            raise StackError(
                "not_ready",
                f"{name} was not ready after {self._process.patience:g} s.",
                f"Read {self._children.log_file(name)}.",
            )
        return False

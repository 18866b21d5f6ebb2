"""The running processes of one supervisor: how they are started, watched and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from devstack.launcher import guard
from devstack.launcher.errors import StackError, no_disk
from devstack.launcher.pidfiles import PidFiles, kill_group
from devstack.launcher.ports import require_free
from devstack.launcher.process import Process


class Children:
    """Every child leads a session of its own: Ctrl-C reaches us alone, and its own children end with it."""

    def __init__(self, *, logs: Path, pids: PidFiles, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._pids = pids
        self._say = say
        self._running: dict[str, tuple[Process, subprocess.Popen[bytes]]] = {}
        # Where in its log file the present run of a process begins.
        self._log_starts: dict[str, int] = {}
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def names(self) -> tuple[str, ...]:
        """In the order in which they were started."""
        return tuple(self._running)

    def pid(self, name: str) -> int:
        return self._running[name][1].pid

    def signal(self, name: str, what: signal.Signals) -> None:
        self._running[name][1].send_signal(what)

    def wait(self, name: str, seconds: float) -> int:
        """Wait until it has ended; its exit code."""
        return self._running[name][1].wait(seconds)

    def log_file(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def is_ready(self, name: str) -> bool:
        process, _ = self._running[name]
        return process.ready() and self._has_said(name, process.ready_mark)

    def spawn(self, process: Process) -> None:
        for port in process.ports:
            require_free(port, process.name)
        try:
            log = self.log_file(process.name).open("ab")
        except OSError as error:
            raise no_disk(self._logs, error) from error
        self._log_starts[process.name] = log.tell()
        with log:
            try:
                child = subprocess.Popen(
                    process.argv,
                    env={**os.environ, **process.env},  # noqa: TID251  handed on, never read
                    cwd=process.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(
                    "cannot_start",
                    f"{process.name} cannot be started: {process.argv[0]} ({error.strerror}).",
                    "Run `make setup`.",
                ) from error
        self._tell_guard(f"+{child.pid} {process.stop_signal:d}")
        self._running[process.name] = (process, child)
        self._pids.write(process.name, child.pid, process.stop_signal)

    def check(self) -> None:
        """Raise if one has ended by itself, naming it."""
        for name, (_, child) in self._running.items():
            code = child.poll()
            if code is not None:
                raise StackError(
                    "child_died",
                    f"{name} ended by itself ({_told(code)}).",
                    f"Read {self.log_file(name)}.",
                )
        if self._guard.poll() is not None:
            raise StackError(
                "guard_died",
                "The process that cleans up after a killed supervisor has itself been killed.",
                "Start the stack again.",
            )

    def end(self, names: Iterable[str]) -> None:
        """Stop these: first those that no other of them needs, together, then what they needed."""
        left = [name for name in self._running if name in set(names)]
        while left:
            needed = {need for name in left for need in self._running[name][0].needs}
            wave = [name for name in left if name not in needed]
            for name in wave:
                process, child = self._running[name]
                # Signals nobody if it has ended already.
                child.send_signal(process.stop_signal)
            for name in reversed(wave):
                self._reap(name)
            left = [name for name in left if name in needed]

    def dismiss_guard(self) -> None:
        """To be called last: with nothing listed, the guard ends without ending anybody."""
        self._guard.communicate()

    def _has_said(self, name: str, mark: bytes) -> bool:
        if not mark:
            return True
        with self.log_file(name).open("rb") as log:
            log.seek(self._log_starts[name])
            return mark in log.read()

    def _reap(self, name: str) -> None:
        process, child = self._running.pop(name)
        try:
            child.wait(process.stop_within)
        except subprocess.TimeoutExpired:
            self._say(f"{name} did not stop within {process.stop_within:g} s and was killed.")
        kill_group(child.pid)
        child.wait()
        self._tell_guard(f"-{child.pid}")
        self._pids.remove(name)

    def _tell_guard(self, line: str) -> None:
        if self._guard.stdin is None:
            return
        try:
            self._guard.stdin.write(f"{line}\n")
            self._guard.stdin.flush()
        except BrokenPipeError:
            # check() reports a dead guard.
            return


def _told(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

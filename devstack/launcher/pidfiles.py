"""Who is running, in files that cannot be fooled by a pid that the kernel has given away again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# The supervisor's own file, beside its children's.
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Running:
    """A process, told apart from later bearers of the same pid by when it started."""

    pid: int
    stop_signal: int
    started: str

    def is_alive(self) -> bool:
        return started(self.pid) == self.started

    def send(self, what: int) -> None:
        if self.is_alive():
            os.kill(self.pid, what)

    def outlives(self, deadline: float) -> bool:
        """Whether it still runs when the monotonic clock shows `deadline`."""
        while self.is_alive():
            if time.monotonic() > deadline:
                return True
            time.sleep(0.05)
        return False


class PidFiles:
    """One file per running process in a folder of the state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, pid: int, stop_signal: int = signal.SIGTERM) -> None:
        draft = self._folder / f"{name}.draft"
        draft.write_text(f"{pid} {stop_signal:d} {started(pid) or 'gone'}\n", encoding="utf-8")
        draft.replace(self._folder / f"{name}.pid")

    def remove(self, name: str) -> None:
        (self._folder / f"{name}.pid").unlink(missing_ok=True)

    def read(self, name: str) -> Running | None:
        try:
            text = (self._folder / f"{name}.pid").read_text("utf-8").strip()
            pid, stop_signal, since = text.split(" ", 2)
            return Running(int(pid), int(stop_signal), since)
        except (FileNotFoundError, ValueError):
            # Cut short by a full disk or a power cut: it names nobody.
            return None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(file.stem for file in self._folder.glob("*.pid")))

    def alive(self) -> dict[str, Running]:
        files = {name: self.read(name) for name in self.names()}
        return {name: running for name, running in files.items() if running and running.is_alive()}

    def stale(self) -> tuple[str, ...]:
        """Files whose process has ended without removing them."""
        return tuple(name for name in self.names() if name not in self.alive())

    def end_leftovers(self, *, within: float = 15.0) -> tuple[str, ...]:
        """Stop the living, forget them all; the names of those that lived. Spares supervisors."""
        alive = {name: one for name, one in self.alive().items() if name != SUPERVISOR}
        for running in alive.values():
            running.send(running.stop_signal)
        deadline = time.monotonic() + within
        for running in alive.values():
            running.outlives(deadline)
            # Also reaches children that it left behind.
            kill_group(running.pid)
        for name in self.names():
            self.remove(name)
        return tuple(alive)


def started(pid: int) -> str | None:
    """When the process started, in whatever unit the system has; None if it does not run."""
    if not Path("/proc/self/stat").exists():
        # macOS and the BSDs have no /proc.
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        return asked.stdout.strip() or None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets and may itself hold spaces and brackets.
    fields = stat.rpartition(")")[2].split()
    state, start_ticks = fields[0], fields[19]
    # A zombie has ended; only its exit code is waiting to be read.
    return None if state in "ZX" else start_ticks


def kill_group(pgid: int) -> None:
    try:
        os.killpg(pgid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nobody is left in it (macOS answers "not permitted" for a group of zombies).
        return

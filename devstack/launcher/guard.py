"""Outlives its supervisor by a moment, to end what the supervisor started.

A supervisor killed with -9 cannot stop its children. This process reads their group ids from a pipe
that only the supervisor holds open; when the pipe closes it ends every group still listed. It works
wherever there are pipes, reaches grandchildren, and does not depend on which thread started a child
(as Linux's PR_SET_PDEATHSIG does). Standard library only: it runs as `python -I -S guard.py`.
"""

from __future__ import annotations

import os
import signal
import sys
import time

PATIENCE = 5.0


def listed() -> dict[int, int]:
    """Follow the lines `+group signal` and `-group` until the supervisor is gone."""
    groups: dict[int, int] = {}
    for line in sys.stdin:
        group, _, stop_signal = line[1:].strip().partition(" ")
        if line.startswith("+"):
            groups[int(group)] = int(stop_signal)
        else:
            groups.pop(int(group), None)
    return groups


def tell(group: int, what: int) -> bool:
    """Signal a whole group; False when nobody is left in it."""
    try:
        os.killpg(group, what)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups = listed()
    deadline = time.monotonic() + PATIENCE
    for group, stop_signal in groups.items():
        tell(group, stop_signal)
    while any(tell(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in groups:
        tell(group, signal.SIGKILL)


if __name__ == "__main__":
    main()

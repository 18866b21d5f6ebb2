"""A table of processes, started in order, watched, and stopped in reverse (after Boulder's startservers).

process.py     one row of the table, and the order of rows
supervisor.py  starts, restarts and stops them in order; dies loudly when one dies
children.py    the running ones: how each is started, watched and ended
guard.py       ends the children of a supervisor that was killed with -9
pidfiles.py    who is running, safe against reused pids
errors.py      StackError: a sentence, a code, the next step
ports.py       free ports, remembered
unroot.py      runs PostgreSQL, which refuses root, as `nobody`
"""

from __future__ import annotations

from devstack.launcher.errors import StackError, no_disk
from devstack.launcher.pidfiles import SUPERVISOR, PidFiles
from devstack.launcher.ports import HOST, PortBook, accepts, is_free
from devstack.launcher.process import READY_EVENT, Process
from devstack.launcher.supervisor import Stopping, Supervisor

__all__ = [
    "HOST",
    "READY_EVENT",
    "SUPERVISOR",
    "PidFiles",
    "PortBook",
    "Process",
    "StackError",
    "Stopping",
    "Supervisor",
    "accepts",
    "is_free",
    "no_disk",
]

"""Runs one command as `nobody`, for PostgreSQL: it refuses to be root, and containers often are.

    python -I -S unroot.py postgres -D …

The command keeps the single capability CAP_DAC_OVERRIDE, so that it reaches a state folder below a
home that is closed to others; nothing has to be opened up for it. Docker's default set has it; in a
container that drops it, do not be root. Linux; standard library only.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become(name: str) -> None:
    account = pwd.getpwnam(name)
    libc = ctypes.CDLL(None, use_errno=True)
    keeps = libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    only = 1 << CAP_DAC_OVERRIDE
    sets = (_Sets * 2)(_Sets(only, only, only), _Sets(0, 0, 0))
    header = _Header(CAPABILITY_VERSION_3, 0)
    if keeps and libc.capset(ctypes.byref(header), sets) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    become("nobody")
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606  no shell is wanted

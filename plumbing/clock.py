"""The only room that reads the machine's clocks; everything else is handed a `Clock`.

It does not schedule anything and does not know a time zone but UTC.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")

# Where there is no kernel boot id, each process start counts as a boot: that is the safe side,
# because comparing boot clocks across two different boot ids is refused anyway.
_PROCESS_BOOT_ID = secrets.token_hex(16)


class Clock(Protocol):
    """Two clocks that can contradict each other, which is how a wrong one is noticed."""

    def now(self) -> datetime:
        """Wall-clock time, UTC-aware. May step in both directions when someone sets it."""
        ...

    def boot_time(self) -> timedelta:
        """Time since the machine booted, sleep included. Never steps back within one boot."""
        ...

    def boot_id(self) -> str:
        """Names the boot that `boot_time` counts from; values of two boots do not compare."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def boot_time(self) -> timedelta:
        # CLOCK_MONOTONIC stands still while a laptop sleeps; CLOCK_BOOTTIME (Linux) does not.
        clock_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return timedelta(microseconds=time.clock_gettime_ns(clock_id) // 1_000)

    def boot_id(self) -> str:
        try:
            return _BOOT_ID_FILE.read_text(encoding="ascii").strip()
        except OSError:
            return _PROCESS_BOOT_ID


class ManualClock:
    """A clock that moves only when told to; wall and boot time move together unless set apart."""

    def __init__(
        self, now: datetime, *, boot_time: timedelta = timedelta(hours=1), boot_id: str = "boot-1"
    ) -> None:
        self._now = _utc(now)
        self._boot_time = boot_time
        self._boot_id = boot_id

    def now(self) -> datetime:
        return self._now

    def boot_time(self) -> timedelta:
        return self._boot_time

    def boot_id(self) -> str:
        return self._boot_id

    def advance(self, by: timedelta) -> None:
        """Let time pass on both clocks."""
        if by < timedelta(0):
            raise ValueError("time passes forwards; use set_wall() for a clock that was set back")
        self._now += by
        self._boot_time += by

    def set_wall(self, now: datetime) -> None:
        """Someone sets the wall clock, in either direction; the boot clock does not notice."""
        self._now = _utc(now)

    def reboot(self, boot_id: str) -> None:
        """Start a new boot: the boot clock begins again at zero under a new id."""
        self._boot_id = boot_id
        self._boot_time = timedelta(0)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock shows an aware time")
    return moment.astimezone(UTC)

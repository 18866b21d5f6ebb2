"""Times at which a state wants to be woken, and legal clocks: names and due times, and no rule."""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class TimerName(StrEnum):
    GRACE_END = "GRACE_END"
    BUNDLE_EXPIRY = "BUNDLE_EXPIRY"
    WAIT_MAX = "WAIT_MAX"
    EXTENTS_STALE = "EXTENTS_STALE"
    STALLED = "STALLED"
    NOTICE_GIVE_UP = "NOTICE_GIVE_UP"


# Acting on these destroys or discloses nothing that a wrong clock could not be forgiven for.
DESTRUCTIVE: Final = frozenset({TimerName.GRACE_END, TimerName.BUNDLE_EXPIRY})

# Fragments live 48 h on their topic; sealing must begin while all of them are surely there.
EXTENT_USABLE: Final = timedelta(hours=36)
NOTICE_PATIENCE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    request_id: str
    name: TimerName
    due_at: datetime


def is_due(timer: Timer, *, now: datetime, observed_at: datetime) -> bool:
    """Two clocks must agree that the time has come: late is fine, early never."""
    return min(now, observed_at) >= timer.due_at


def one_month_after(at: datetime) -> datetime:
    """The corresponding day of the next month, or its last day. GDPR Art. 12(3); Reg. 1182/71."""
    year, month = divmod(at.year * 12 + at.month, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return at.replace(year=year, month=month + 1, day=min(at.day, last_day))

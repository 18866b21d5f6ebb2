"""Who is signed in. In memory only: a restart signs everybody out, and no store can leak.

Rule 1: an id is 256 random bits, drawn here and never taken from outside; kept is its HMAC.
Rule 2: a session ends after half an hour without its person, after twelve hours, or with its token.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from plumbing.clock import Clock
from plumbing.config import Secret

IDLE: Final = timedelta(minutes=30)
ABSOLUTE: Final = timedelta(hours=12)
SESSIONS_MAX: Final = 10_000
_ID_BYTES: Final = 32


@dataclass(slots=True, kw_only=True)
class Session:
    """One person at one browser. `ends_at` and `seen_at` are on the boot clock.

    `position` is where in the log the person's last act was decided: no page may be older.
    """

    token: Secret
    email: str = field(repr=False)
    tenant: str
    roles: frozenset[str]
    ends_at: timedelta = timedelta(0)
    seen_at: timedelta = timedelta(0)
    position: str = ""


class Sessions:
    def __init__(self, key: bytes, clock: Clock, *, kept: int = SESSIONS_MAX) -> None:
        self._key = key
        self._clock = clock
        self._kept = kept
        self._open: dict[str, Session] = {}

    def open(self, session: Session, lifetime: timedelta) -> str:
        """Begin a session; the id is for the cookie and is known to nobody else."""
        now = self._clock.boot_time()
        self._forget_ended(now)
        if len(self._open) >= self._kept:
            longest_idle = min(self._open, key=lambda kept: self._open[kept].seen_at)
            del self._open[longest_idle]
        session.seen_at = now
        session.ends_at = now + min(lifetime, ABSOLUTE)
        session_id = secrets.token_urlsafe(_ID_BYTES)
        self._open[self._hashed(session_id)] = session
        return session_id

    def find(self, session_id: str, *, is_person: bool = True) -> Session | None:
        """The session, unless it has ended. `is_person`: somebody pressed something just now."""
        session = self._open.get(self._hashed(session_id))
        now = self._clock.boot_time()
        if session is None or _has_ended(session, now):
            return None
        if is_person:
            session.seen_at = now
        return session

    def close(self, session_id: str) -> None:
        self._open.pop(self._hashed(session_id), None)

    def __len__(self) -> int:
        return len(self._open)

    def _hashed(self, session_id: str) -> str:
        return hmac.new(self._key, session_id.encode(), hashlib.sha256).hexdigest()

    def _forget_ended(self, now: timedelta) -> None:
        ended = [kept for kept, session in self._open.items() if _has_ended(session, now)]
        for kept in ended:
            del self._open[kept]


def _has_ended(session: Session, now: timedelta) -> bool:
    return now >= session.ends_at or now - session.seen_at >= IDLE

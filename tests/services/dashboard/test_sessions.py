"""Sessions by themselves: how long they live, and what is kept of their ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from plumbing.clock import ManualClock
from plumbing.config import Secret
from services.dashboard.sessions import ABSOLUTE, IDLE, Session, Sessions

LONG = timedelta(days=30)
MINUTE = timedelta(minutes=1)


def somebody() -> Session:
    return Session(
        token=Secret("a-token"), email="ines@example.org", tenant="acme", roles=frozenset()
    )


def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 21, tzinfo=UTC))


def stays(sessions: Sessions, session_id: str, time: ManualClock, until: timedelta) -> bool:
    """Whether a session is there that long for a person who never rests."""
    begun = time.boot_time()
    while time.boot_time() - begun + MINUTE < until:
        time.advance(MINUTE)
        if sessions.find(session_id) is None:
            return False
    return True


def test_a_session_ends_with_its_token() -> None:
    time = clock()
    sessions = Sessions(b"key", time)
    session_id = sessions.open(somebody(), timedelta(hours=1))
    assert stays(sessions, session_id, time, timedelta(hours=1))
    time.advance(MINUTE)
    assert sessions.find(session_id) is None


def test_no_session_lives_longer_than_half_a_day() -> None:
    time = clock()
    sessions = Sessions(b"key", time)
    session_id = sessions.open(somebody(), LONG)
    assert stays(sessions, session_id, time, ABSOLUTE)
    time.advance(MINUTE)
    assert sessions.find(session_id) is None


def test_setting_the_wall_clock_back_lengthens_no_session() -> None:
    time = clock()
    sessions = Sessions(b"key", time)
    session_id = sessions.open(somebody(), LONG)
    time.advance(IDLE)
    time.set_wall(datetime(2020, 1, 1, tzinfo=UTC))
    assert sessions.find(session_id) is None


def test_when_there_are_too_many_the_longest_idle_goes() -> None:
    time = clock()
    sessions = Sessions(b"key", time, kept=2)
    first = sessions.open(somebody(), LONG)
    time.advance(MINUTE)
    second = sessions.open(somebody(), LONG)
    time.advance(MINUTE)
    sessions.find(first)
    third = sessions.open(somebody(), LONG)
    assert [sessions.find(one) is not None for one in (first, second, third)] == [True, False, True]


def test_ended_sessions_are_not_kept() -> None:
    time = clock()
    sessions = Sessions(b"key", time)
    for _ in range(3):
        sessions.open(somebody(), LONG)
        time.advance(IDLE)
    assert len(sessions) == 1


def test_what_is_kept_of_an_id_is_not_the_id() -> None:
    sessions = Sessions(b"key", clock())
    session_id = sessions.open(somebody(), LONG)
    assert session_id not in repr(vars(sessions))
    assert Sessions(b"other key", clock()).find(session_id) is None


def test_a_session_shows_neither_token_nor_address() -> None:
    shown = repr(somebody())
    assert "a-token" not in shown
    assert "ines" not in shown

"""Two clocks that move together unless a test sets them apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from plumbing.clock import ManualClock, SystemClock

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


def test_the_system_clock_is_aware_and_its_boot_clock_never_steps_back() -> None:
    clock = SystemClock()

    first, second = clock.boot_time(), clock.boot_time()

    assert clock.now().utcoffset() == timedelta(0)
    assert timedelta(0) < first <= second
    assert clock.boot_id() == clock.boot_id() != ""


def test_time_passes_on_both_clocks() -> None:
    clock = ManualClock(NOW)
    before = clock.boot_time()

    clock.advance(timedelta(days=30))

    assert clock.now() == NOW + timedelta(days=30)
    assert clock.boot_time() - before == timedelta(days=30)


def test_setting_the_wall_clock_does_not_move_the_boot_clock() -> None:
    clock = ManualClock(NOW)
    before = clock.boot_time()

    clock.set_wall(NOW - timedelta(hours=3))

    assert clock.now() == NOW - timedelta(hours=3)
    assert clock.boot_time() == before


def test_a_reboot_starts_a_new_boot_clock() -> None:
    clock = ManualClock(NOW)

    clock.reboot("boot-2")

    assert (clock.boot_id(), clock.boot_time()) == ("boot-2", timedelta(0))


def test_time_never_passes_backwards() -> None:
    with pytest.raises(ValueError, match="forwards"):
        ManualClock(NOW).advance(timedelta(seconds=-1))


def test_a_clock_shows_utc_whatever_it_was_given() -> None:
    paris = timezone(timedelta(hours=1))

    assert ManualClock(NOW.astimezone(paris)).now().tzinfo is UTC
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 11, 21))  # noqa: DTZ001 -- The mistake being refused.

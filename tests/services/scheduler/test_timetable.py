"""Which timers and days are due: known from the log alone, sent until the log has them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from plumbing.clock import ManualClock
from plumbing.kafka import Outgoing
from rights.commands import DayTick, FireTimer
from rights.erasure.state import Erasure
from rights.policies import PROFILES
from rights.timers import TimerName
from schemas.codec import decode, decode_as
from schemas.log import Entry
from schemas.topics import COMMANDS_CLOCK, COMMANDS_INTAKE
from schemas.wire import CommandMessage
from services.scheduler.timetable import LONGEST_PAUSE_S, Timetable
from tests.support.log_writer import LOG_ID, SOURCES, START, LogWriter, person

DAY = timedelta(days=1)
MONTH = timedelta(days=30)
RESEND_S = 5.0
INES = person(1)


class Schedule:
    """A log, a timetable that reads it, and the scheduler's own clock."""

    def __init__(self, *, grace: timedelta = MONTH) -> None:
        self.log = LogWriter()
        profile = PROFILES["workspace-admin"]
        self.log.publish_policy(replace(profile, sources=SOURCES, grace=grace))
        self.clock = ManualClock(START)
        self.table = Timetable(LOG_ID, timedelta(seconds=RESEND_S))
        self._read = 0

    def read(self) -> None:
        for entry in self.log.entries[self._read :]:
            self.table.apply(entry)
        self._read = len(self.log.entries)

    def at(self, now: datetime) -> None:
        """Time passes for the scheduler and the decider alike."""
        self.clock.advance(now - self.clock.now())
        self.log.now = now

    def grace_end(self, request_id: str) -> datetime:
        erasure = self.log.request(INES, request_id)
        assert isinstance(erasure, Erasure)
        assert erasure.grace_ends_at is not None
        return erasure.grace_ends_at

    def due(self, *, at_s: float = 0.0, kind: type = FireTimer) -> list[Any]:
        self.read()
        return [b for b in bodies(self.table.due(self.clock, at_s=at_s)) if isinstance(b, kind)]

    def send(self, *, at_s: float = 0.0) -> list[Entry]:
        """Everything that is due reaches the decider; what it wrote."""
        self.read()
        written = [
            self.log.receive(COMMANDS_CLOCK, out.partition or 0, out.value)
            for out in self.table.due(self.clock, at_s=at_s)
        ]
        return [entry for entry in written if entry is not None]


def bodies(outs: Sequence[Outgoing]) -> list[Any]:
    assert {out.topic for out in outs} <= {COMMANDS_CLOCK}
    return [decode(decode_as(CommandMessage, out.value).body) for out in outs]


def test_a_timer_is_sent_when_its_time_has_come_and_not_a_moment_before() -> None:
    schedule = Schedule()
    request_id = schedule.log.file_erasure(INES)
    ends_at = schedule.grace_end(request_id)

    schedule.clock.set_wall(ends_at - timedelta(microseconds=1))
    early = schedule.due()
    schedule.clock.set_wall(ends_at)
    on_time = schedule.due()

    assert early == []
    assert on_time == [FireTimer(request_id=request_id, timer=TimerName.GRACE_END, due_at=ends_at)]


def test_a_timer_goes_to_the_partition_of_its_person_and_says_who_sent_it() -> None:
    schedule = Schedule()
    schedule.log.file_erasure(INES)
    schedule.read()
    schedule.clock.set_wall(START + MONTH + DAY)

    (out,) = [o for o in schedule.table.due(schedule.clock, at_s=0) if o.key == INES.encode()]

    message = decode_as(CommandMessage, out.value)
    assert out.partition == schedule.log.entries[-1].decision.partition
    assert (message.subject_ref, message.issuer, message.actor.role) == (INES, "scheduler", "CLOCK")


def test_a_timer_is_sent_again_ever_more_rarely_until_the_log_has_it() -> None:
    schedule = Schedule()
    schedule.log.file_erasure(INES)
    schedule.clock.set_wall(START + MONTH + DAY)
    schedule.read()

    sent_at = [float(s) for s in range(3000) if schedule.due(at_s=float(s))]

    pauses = [later - earlier for earlier, later in itertools.pairwise(sent_at)]
    assert pauses[:4] == [RESEND_S, 2 * RESEND_S, 4 * RESEND_S, 8 * RESEND_S]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_what_the_log_has_is_never_sent_again() -> None:
    schedule = Schedule(grace=timedelta(hours=2))
    schedule.log.file_erasure(INES)
    schedule.at(START + timedelta(hours=3))

    written = schedule.send()
    later = schedule.due(at_s=10_000)

    names = [type(event).__name__ for entry in written for event in entry.events]
    assert names.count("GracePeriodEnded") == 1
    assert [body.timer for body in later if body.timer == TimerName.GRACE_END] == []


def test_a_timer_that_comes_too_early_for_the_decider_is_absorbed_and_sent_again() -> None:
    schedule = Schedule(grace=timedelta(hours=2))
    request_id = schedule.log.file_erasure(INES)
    due_at = schedule.grace_end(request_id)
    schedule.log.now = due_at - timedelta(minutes=1)
    schedule.clock.set_wall(due_at)

    too_early = [e for e in schedule.send() if e.decision.subject_ref == INES]
    schedule.log.now = due_at
    on_time = [e for e in schedule.send(at_s=RESEND_S) if e.decision.subject_ref == INES]

    assert too_early == []
    assert [type(event).__name__ for event in on_time[0].events] == ["GracePeriodEnded"]


def test_a_cancelled_timer_never_rings() -> None:
    schedule = Schedule()
    request_id = schedule.log.file_erasure(INES)
    schedule.read()
    schedule.log.cancel(INES, request_id)

    schedule.clock.set_wall(START + 2 * MONTH)

    assert schedule.due() == []


def test_nothing_rings_for_a_person_on_hold() -> None:
    schedule = Schedule()
    request_id = schedule.log.file_erasure(INES)
    partition = schedule.log.entries[-1].decision.partition
    place = (COMMANDS_INTAKE, partition, schedule.log._inputs[COMMANDS_INTAKE, partition])
    # A command about her at which the decider failed three times.
    schedule.log._deciders[partition].faults[place] = 3
    schedule.log.cancel(INES, request_id)

    schedule.clock.set_wall(START + 2 * MONTH)

    assert schedule.log.subject(INES).is_held
    assert schedule.due() == []


def test_what_a_request_no_longer_waits_for_does_not_ring() -> None:
    schedule = Schedule()
    request_id = schedule.log.file_export(INES)
    schedule.read()
    schedule.log.source_fails(INES)

    schedule.clock.set_wall(START + 2 * MONTH)

    assert schedule.log.request(INES, request_id).state == "FAILED"
    assert schedule.due() == []


def test_every_partition_hears_of_every_day_once() -> None:
    schedule = Schedule()
    schedule.send()
    midnight = START.replace(hour=0) + DAY
    heard: list[tuple[int, int]] = []
    for day in range(4):
        for second in range(0, 86_400, 7_200):
            schedule.at(midnight + day * DAY + timedelta(seconds=second))
            for entry in schedule.send(at_s=float(day * 86_400 + second)):
                assert [type(e).__name__ for e in entry.events] == ["DayTicked"]
                heard.append((day, entry.decision.partition))

    assert sorted(heard) == [(day, partition) for day in range(4) for partition in range(3)]


def test_a_tick_tells_the_boot_clock_beside_the_day() -> None:
    schedule = Schedule()
    schedule.clock.reboot("boot-7")
    schedule.clock.advance(timedelta(minutes=2))

    ticks = schedule.due(kind=DayTick)

    assert set(ticks) == {DayTick(boot_id="boot-7", boot_clock_ms=120_000)}


def test_a_day_that_began_for_us_before_it_did_for_the_broker_is_not_told_all_day_long() -> None:
    schedule = Schedule()
    schedule.log.now = datetime(2026, 3, 2, 23, 59, 59, 900_000, tzinfo=UTC)
    schedule.clock.set_wall(datetime(2026, 3, 3, 0, 0, 0, tzinfo=UTC))

    first = schedule.send()
    again = schedule.due(at_s=10_000, kind=DayTick)

    assert len(first) == 3
    assert again == []


def test_a_new_scheduler_knows_everything_from_the_log() -> None:
    schedule = Schedule()
    schedule.log.file_erasure(INES)
    cancelled = schedule.log.file_erasure(person(2))
    schedule.log.cancel(person(2), cancelled)
    schedule.clock.set_wall(START + MONTH + DAY)
    schedule.log.now = START + MONTH + DAY
    schedule.send()

    fresh = Timetable(LOG_ID, timedelta(seconds=RESEND_S))
    for entry in schedule.log.entries:
        fresh.apply(entry)

    def ids(table: Timetable) -> set[str]:
        return {
            decode_as(CommandMessage, out.value).id
            for out in table.due(schedule.clock, at_s=100_000)
        }

    schedule.read()
    assert ids(fresh) == ids(schedule.table)
    assert {type(b) for b in bodies(fresh.due(schedule.clock, at_s=200_000))} <= {FireTimer}

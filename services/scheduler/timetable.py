"""Which timers are due, and which days a partition has not been told of; sends nothing itself.

Rule 1: a timer is sent again, ever more rarely, until the log no longer waits for it: late is fine,
early never, and the decider absorbs what comes twice.
Rule 2: every partition hears of every day, so that none is silent for longer than one. A day is
known by the id of its tick, not by when the broker says it came: at midnight clocks disagree.
"""

import hashlib
import heapq
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from logbook.orderbook import OrderBook
from plumbing.clock import Clock
from plumbing.kafka import Outgoing
from rights.commands import Actor, DayTick, FireTimer
from rights.events import DayTicked
from rights.incoming import Body
from rights.policies import Role
from rights.references import derived_id
from rights.subject import timers
from rights.timers import Timer
from schemas.codec import encode
from schemas.log import Entry
from schemas.topics import COMMANDS_CLOCK
from schemas.wire import CommandMessage

TICKS_KEPT: Final = 4
LONGEST_PAUSE_S: Final = 300.0
_SELF = Actor(role=Role.CLOCK, ref="scheduler")


@dataclass(frozen=True, slots=True, order=True)
class _Alarm:
    due_at: datetime
    request_id: str
    name: str
    subject_ref: str = field(compare=False)
    tenant_ref: str = field(compare=False)
    partition: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Sent:
    """When something was last sent (monotonic), and how long it is left alone after that."""

    at_s: float
    pause_s: float


class Timetable:
    """Folds the log into alarms; times come in."""

    def __init__(self, log_id: str, resend_after: timedelta) -> None:
        self._log_id = log_id
        self._resend_after_s = resend_after.total_seconds()
        self._book = OrderBook(lambda _: False)
        self._alarms: list[_Alarm] = []
        self._live: dict[str, frozenset[_Alarm]] = {}
        # The last ticks of each partition, by command id.
        self._ticked: dict[int, deque[str]] = {}
        self._sent: dict[str, _Sent] = {}

    def apply(self, entry: Entry) -> None:
        decision = entry.decision
        self._book.apply(entry)
        ticked = self._ticked.setdefault(decision.partition, deque(maxlen=TICKS_KEPT))
        if any(isinstance(event, DayTicked) for event in entry.events):
            ticked.append(decision.command.id)
        ref = decision.subject_ref
        subject = self._book.ledgers[decision.partition].subjects.get(ref) if ref else None
        if subject is None:
            return
        # Nothing is decided about a subject on hold, so nothing rings for it either.
        alarms = frozenset(
            _alarm(timer, subject.ref, subject.tenant_ref, decision.partition)
            for timer in (() if subject.is_held else timers(subject))
        )
        for fresh in alarms - self._live.get(subject.ref, frozenset()):
            heapq.heappush(self._alarms, fresh)
        if alarms:
            self._live[subject.ref] = alarms
        else:
            self._live.pop(subject.ref, None)

    def due(self, clock: Clock, *, at_s: float) -> list[Outgoing]:
        """Everything to be sent now; `at_s` is monotonic."""
        now = clock.now()
        sending = [self._fire(alarm, now) for alarm in self._rung(now)]
        for partition, heard in sorted(self._ticked.items()):
            tick_id = derived_id("tick", self._log_id, str(partition), now.date().isoformat())
            if tick_id not in heard:
                sending.append((tick_id, _tick(tick_id, partition, clock)))
        before = self._sent
        self._sent = {i: self._sent_again(before.get(i), at_s) for i, _ in sending}
        return [out for i, out in sending if self._sent[i] is not before.get(i)]

    def _sent_again(self, before: _Sent | None, at_s: float) -> _Sent:
        """What to note about something that is due: as before, if it was sent a moment ago."""
        if before is None:
            return _Sent(at_s, self._resend_after_s)
        if at_s - before.at_s < before.pause_s:
            return before
        return _Sent(at_s, min(2 * before.pause_s, LONGEST_PAUSE_S))

    def _rung(self, now: datetime) -> list[_Alarm]:
        """The due alarms that are still live; those stay, the others are dropped."""
        rung = []
        while self._alarms and self._alarms[0].due_at <= now:
            alarm = heapq.heappop(self._alarms)
            if alarm in self._live.get(alarm.subject_ref, frozenset()):
                rung.append(alarm)
        # One that went and came back stands in the heap twice.
        rung = list(dict.fromkeys(rung))
        for alarm in rung:
            heapq.heappush(self._alarms, alarm)
        return rung

    def _fire(self, alarm: _Alarm, now: datetime) -> tuple[str, Outgoing]:
        body = FireTimer(request_id=alarm.request_id, timer=alarm.name, due_at=alarm.due_at)
        command_id = derived_id("fire", alarm.request_id, alarm.name, alarm.due_at.isoformat())
        message = _message(command_id, body, now, alarm.subject_ref, alarm.tenant_ref)
        key = alarm.subject_ref.encode()
        out = Outgoing(
            topic=COMMANDS_CLOCK, key=key, value=encode(message), partition=alarm.partition
        )
        return command_id, out


def _tick(tick_id: str, partition: int, clock: Clock) -> Outgoing:
    booted_ms = clock.boot_time() // timedelta(milliseconds=1)
    body = DayTick(boot_id=clock.boot_id(), boot_clock_ms=booted_ms)
    value = encode(_message(tick_id, body, clock.now(), None, None))
    return Outgoing(topic=COMMANDS_CLOCK, key=b"tick", value=value, partition=partition)


def _alarm(timer: Timer, subject_ref: str, tenant_ref: str, partition: int) -> _Alarm:
    return _Alarm(timer.due_at, timer.request_id, timer.name, subject_ref, tenant_ref, partition)


def _message(
    command_id: str, body: Body, now: datetime, subject_ref: str | None, tenant_ref: str | None
) -> CommandMessage:
    encoded = encode(body)
    return CommandMessage(
        id=command_id,
        hash=hashlib.sha256(encoded).digest(),
        issuer="scheduler",
        actor=_SELF,
        subject_ref=subject_ref,
        tenant_ref=tenant_ref,
        attested=(),
        issued_at=now,
        valid_until=None,
        body=encoded,
    )

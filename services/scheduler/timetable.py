"""Which timers are due, and which days a partition has not been told of; sends nothing itself.

Rule 1: a timer is sent again until the log no longer waits for it: late is fine, early never, and
the decider absorbs what comes twice.
Rule 2: every partition hears of every day, so that none is silent for longer than one.
"""

import hashlib
import heapq
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

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

_SELF = Actor(role=Role.CLOCK, ref="scheduler")


@dataclass(frozen=True, slots=True, order=True)
class _Alarm:
    due_at: datetime
    request_id: str
    name: str
    subject_ref: str = field(compare=False)
    tenant_ref: str = field(compare=False)
    partition: int = field(compare=False)


class Timetable:
    """Folds the log into alarms; times come in."""

    def __init__(self, log_id: str, resend_after: timedelta) -> None:
        self._log_id = log_id
        self._resend_after_s = resend_after.total_seconds()
        self._book = OrderBook(lambda _: False)
        self._alarms: list[_Alarm] = []
        self._live: dict[str, frozenset[_Alarm]] = {}
        self._ticked: dict[int, date] = {}
        # Monotonic seconds at which something was last sent, by command id.
        self._sent: dict[str, float] = {}

    def apply(self, entry: Entry) -> None:
        decision = entry.decision
        self._book.apply(entry)
        self._ticked.setdefault(decision.partition, date.min)
        if any(isinstance(event, DayTicked) for event in entry.events):
            self._ticked[decision.partition] = decision.observed_at.date()
        ref = decision.subject_ref
        subject = self._book.ledgers[decision.partition].subjects.get(ref) if ref else None
        if subject is None:
            return
        alarms = frozenset(
            _alarm(timer, subject.ref, subject.tenant_ref, decision.partition)
            for timer in timers(subject)
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
        self._sent = {i: s for i, s in self._sent.items() if at_s - s < self._resend_after_s}
        sending = [self._fire(alarm, now) for alarm in self._rung(now)]
        sending += [
            self._tick(partition, clock)
            for partition, day in sorted(self._ticked.items())
            if day < now.date()
        ]
        fresh = [(i, out) for i, out in sending if i not in self._sent]
        self._sent.update((i, at_s) for i, _ in fresh)
        return [out for _, out in fresh]

    def _rung(self, now: datetime) -> list[_Alarm]:
        """The due alarms that are still live; those stay, the others are dropped."""
        rung = []
        while self._alarms and self._alarms[0].due_at <= now:
            alarm = heapq.heappop(self._alarms)
            if alarm in self._live.get(alarm.subject_ref, frozenset()):
                rung.append(alarm)
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

    def _tick(self, partition: int, clock: Clock) -> tuple[str, Outgoing]:
        now = clock.now()
        booted_ms = clock.boot_time() // timedelta(milliseconds=1)
        body = DayTick(boot_id=clock.boot_id(), boot_clock_ms=booted_ms)
        day = now.date().isoformat()
        command_id = derived_id("tick", self._log_id, str(partition), day)
        value = encode(_message(command_id, body, now, None, None))
        return command_id, Outgoing(
            topic=COMMANDS_CLOCK, key=b"tick", value=value, partition=partition
        )


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

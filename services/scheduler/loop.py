"""Follows the log and sends what the timetable says is due."""

import time
from typing import Final

from logbook.following import Follower
from logbook.reporting import PATIENCE_S
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.failpoints import fp
from plumbing.kafka import Producer
from plumbing.process import Stop
from services.scheduler.timetable import Timetable

POLL_S: Final = 0.25
log = telemetry.get("scheduler")


def keep_time(
    follower: Follower, producer: Producer, timetable: Timetable, clock: Clock, stop: Stop
) -> None:
    """Run until stopped; everything it knows it has from the log."""
    follower.read_to_end(timetable.apply)
    log.info("ready")
    while not stop.is_set():
        for entry in follower.poll(POLL_S):
            timetable.apply(entry)
        due = timetable.due(clock, at_s=time.monotonic())
        if due:
            fp("scheduler.sending")
            producer.send_and_wait(due, PATIENCE_S)
            fp("scheduler.sent")
            log.info("timers_sent", count=len(due))

"""The scheduler at work beside a real decider, and what is left of it after a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from logbook.following import Follower
from plumbing import failpoints
from plumbing.failpoints import FailpointError
from plumbing.process import Stop
from schemas.codec import decode_as
from schemas.topics import COMMANDS_CLOCK
from schemas.wire import CommandMessage
from services.scheduler.loop import keep_time
from services.scheduler.timetable import Timetable
from tests.services.request_api.installation import POLICY, Installation
from tests.support.asking import LOG_ID, PARTITIONS
from tests.support.waiting import until

GRACE = timedelta(hours=2)


@pytest.fixture
def installation() -> Iterator[Installation]:
    with Installation() as running:
        running.publish_policy(replace(POLICY, grace=GRACE))
        yield running
    failpoints.disarm()


def run_scheduler(installation: Installation, stop: Stop) -> None:
    follower = Follower(installation.connection, range(PARTITIONS), log_id=LOG_ID)
    producer = installation.connection.producer()
    timetable = Timetable(LOG_ID, timedelta(milliseconds=50))
    try:
        keep_time(follower, producer, timetable, installation.clock, stop)
    finally:
        producer.close()
        follower.close()


@contextmanager
def scheduling(installation: Installation) -> Iterator[None]:
    stop = Stop()
    thread = threading.Thread(target=run_scheduler, args=(installation, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def ticks(installation: Installation) -> list[int]:
    """The partitions that heard of a day, once for each time they did."""
    return sorted(
        entry.decision.partition
        for entry in list(installation.entries)
        if entry.decision.command.type == "DayTick"
    )


def test_grace_ends_when_it_is_over_and_not_before(installation: Installation) -> None:
    ref, request_id = installation.file_erasure(installation.person())
    ends_at = installation.request(ref, request_id).grace_ends_at

    with scheduling(installation):
        until(lambda: len(ticks(installation)) == PARTITIONS)
        installation.clock.advance(GRACE - timedelta(seconds=1))
        installation.clock.advance(timedelta(seconds=1))
        until(lambda: "GracePeriodEnded" in installation.events(request_id))

    sent = [decode_as(CommandMessage, r.value or b"") for r in installation.records(COMMANDS_CLOCK)]
    fired = [message for message in sent if message.subject_ref == ref]
    assert fired
    assert all(message.issued_at >= ends_at for message in fired)
    assert installation.events(request_id).count("GracePeriodEnded") == 1


@pytest.mark.parametrize("place", ["scheduler.sending", "scheduler.sent"])
def test_a_scheduler_that_died_is_followed_by_one_that_ends_right(
    installation: Installation, place: str
) -> None:
    _, request_id = installation.file_erasure(installation.person())
    installation.clock.advance(GRACE)
    failpoints.arm(f"{place}:1:err")

    with pytest.raises(FailpointError):
        run_scheduler(installation, Stop())
    with scheduling(installation):
        until(lambda: "GracePeriodEnded" in installation.events(request_id))
        until(lambda: len(ticks(installation)) >= PARTITIONS)

    assert installation.events(request_id).count("GracePeriodEnded") == 1
    assert ticks(installation) == list(range(PARTITIONS))


def test_a_new_scheduler_does_not_tell_of_a_day_again(installation: Installation) -> None:
    with scheduling(installation):
        until(lambda: len(ticks(installation)) == PARTITIONS)

    with scheduling(installation):
        installation.clock.advance(timedelta(days=1))
        until(lambda: len(ticks(installation)) == 2 * PARTITIONS)

    assert ticks(installation) == sorted(2 * list(range(PARTITIONS)))
    assert not any(
        type(event).__name__ == "ClockSuspected"
        for entry in installation.entries
        for event in entry.events
    )

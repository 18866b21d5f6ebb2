"""A decider in this process, over whatever broker a test has."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from logbook.following import Follower, Following
from logbook.policies import fold_policies
from logbook.reporting import Reporter
from plumbing.clock import Clock, SystemClock
from plumbing.kafka import Connection
from plumbing.process import Stop
from rights.policies import PolicyBook
from services.decider.config import DeciderConfig
from services.decider.ownership import Ownership
from services.decider.partition import Surroundings
from tests.support.asking import LOG_ID, PARTITIONS, SOURCES


@dataclass
class RunningDecider:
    stop: Stop
    thread: threading.Thread
    codes: list[int]

    def end(self) -> int:
        self.stop.set()
        self.thread.join(30)
        return self.codes[0]


def surroundings(
    connection: Connection,
    *,
    clock: Clock | None = None,
    snapshots: Path | None = None,
    partitions: int = PARTITIONS,
    resend_after: timedelta = timedelta(seconds=60),
) -> Surroundings:
    book = PolicyBook()
    used = clock or SystemClock()
    follower = Follower(connection, range(partitions), log_id=LOG_ID)
    policies = Following(follower, lambda entry: fold_policies(book, entry))
    policies.start()
    config = DeciderConfig(
        kafka="",
        log_id=LOG_ID,
        partitions=partitions,
        sources=SOURCES,
        snapshots=snapshots,
        resend_after=resend_after,
    )
    return Surroundings(
        config=config,
        connection=connection,
        producer=connection.producer(),
        clock=used,
        book=book,
        policies=policies,
        reporter=Reporter(worker="decider", clock=used, entropy=os.urandom),
    )


@contextmanager
def deciding(
    connection: Connection, *, instance: str = "decider-1", **changes: object
) -> Iterator[RunningDecider]:
    around = surroundings(connection, **changes)  # type: ignore[arg-type] # as surroundings takes
    stop = Stop()
    codes: list[int] = []
    ownership = Ownership(connection.group("decider", instance), around)
    thread = threading.Thread(target=lambda: codes.append(ownership.hold(stop)), daemon=True)
    thread.start()
    running = RunningDecider(stop, thread, codes)
    try:
        yield running
    finally:
        stop.set()
        thread.join(30)
        around.policies.stop()
        around.producer.close()

"""The loops of the process: one for the views, one for the signs of life.

Rule 1: one projector at a time applies; a second one stands by until the first one's session ends.
That saves work. What makes it safe are the positions (`views.positions`).
Rule 2: a database that is away is waited for; a log that cannot be read ends the process.
"""

from collections.abc import Callable
from typing import Final

from plumbing import telemetry
from plumbing.kafka import Connection as Kafka
from plumbing.postgres import (
    Connection,
    DatabaseUnavailable,
    TupleRow,
    connect,
    unavailable_as_ours,
)
from plumbing.process import Stop
from projections.database import APPLYING_LOCK, prepare, take_lock
from projections.progress import ProgressKeeper
from projections.projector import LogIdentity, open_projector
from projections.views.positions import OvertakenError

POLL_S: Final = 0.2
STANDBY_S: Final = 1.0
log = telemetry.get("projections")


def keep_views(stop: Stop, kafka: Kafka, dsn: str, identity: LogIdentity) -> None:
    """Apply the log to the views until told to stop."""

    def apply(connection: Connection[TupleRow]) -> None:
        if not _became_the_one(connection, stop):
            return
        projector = open_projector(kafka, connection, identity)
        try:
            log.info("ready")
            while not stop.is_set():
                projector.step(POLL_S)
        finally:
            projector.follower.close()

    _again_and_again(stop, dsn, apply)


def keep_progress(stop: Stop, kafka: Kafka, dsn: str) -> None:
    """Note down signs of life until told to stop."""

    def follow(connection: Connection[TupleRow]) -> None:
        prepare(connection)
        keeper = ProgressKeeper(kafka, connection)
        try:
            while not stop.is_set():
                keeper.step(POLL_S)
        finally:
            keeper.close()

    _again_and_again(stop, dsn, follow)


def _again_and_again(stop: Stop, dsn: str, work: Callable[[Connection[TupleRow]], None]) -> None:
    while not stop.is_set():
        try:
            with unavailable_as_ours(), connect(dsn, autocommit=True) as connection:
                work(connection)
        except OvertakenError:
            log.warning("overtaken")
        except DatabaseUnavailable as failure:
            log.warning("database_unavailable", error=failure)
            stop.wait(STANDBY_S)


def _became_the_one(connection: Connection[TupleRow], stop: Stop) -> bool:
    stands_by = False
    while not stop.is_set():
        if take_lock(connection, APPLYING_LOCK):
            return True
        if not stands_by:
            log.info("standing_by")
            stands_by = True
        stop.wait(STANDBY_S)
    return False

"""Signs of life are shown while they are fresh, and are no part of the views."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from plumbing.kafka import Connection as Kafka
from plumbing.kafka import Outgoing
from plumbing.postgres import Connection, TupleRow
from plumbing.process import Stop
from projections.database import prepare
from projections.progress import ProgressKeeper
from projections.queries import open_queries
from projections.rebuilding import rebuild
from schemas.codec import encode
from schemas.topics import PROGRESS
from schemas.wire import ProgressMessage
from tests.projections.conftest import IDENTITY
from tests.support.log_writer import START, LogWriter
from tests.support.waiting import until

Say = Callable[..., None]


@pytest.fixture
def say(kafka: Kafka, database: Connection[TupleRow]) -> Say:
    """Sends one sign of life and lets the keeper note it down."""
    prepare(database)
    keeper = ProgressKeeper(kafka, database)
    producer = kafka.producer()

    def send(percent: int, *, order: str = "order-1", after: int = 0, value: bytes = b"") -> None:
        message = ProgressMessage(
            order_id=order,
            request_id="request-1",
            worker="collectors",
            source="journal",
            percent=percent,
            at=START + timedelta(seconds=after),
        )
        out = Outgoing(topic=PROGRESS, key=b"someone", value=value or encode(message))
        producer.send_and_wait([out], 5)
        until(lambda: keeper.step(0.05), 5)

    return send


def shown(dsn: str) -> list[tuple[str, int]]:
    queries = open_queries(dsn)
    try:
        return [(row.order_id, row.percent) for row in queries.progress("request-1")]
    finally:
        queries.close()


def test_the_latest_sign_of_life_of_each_order_is_shown(say: Say, postgres_dsn: str) -> None:
    say(10)
    say(60, after=2)
    say(30, after=1)
    say(5, order="order-2")

    assert shown(postgres_dsn) == [("order-1", 60), ("order-2", 5)]


def test_what_is_older_than_a_day_is_forgotten(say: Say, postgres_dsn: str) -> None:
    say(10)
    say(20, order="order-2", after=25 * 3600)

    assert shown(postgres_dsn) == [("order-2", 20)]


def test_what_cannot_be_read_is_passed_over(say: Say, postgres_dsn: str) -> None:
    say(0, value=b"nothing")
    say(10)

    assert shown(postgres_dsn) == [("order-1", 10)]


def test_a_rebuild_leaves_the_signs_of_life_alone(
    say: Say, log: LogWriter, kafka: Kafka, database: Connection[TupleRow], postgres_dsn: str
) -> None:
    say(10)
    log.publish(kafka)

    rebuild(kafka, database, IDENTITY, Stop())

    assert shown(postgres_dsn) == [("order-1", 10)]

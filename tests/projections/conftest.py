"""A log on a broker in memory, and views of it in a database that is real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from plumbing.kafka import Connection as Kafka
from plumbing.kafka import TopicSpec
from plumbing.kafka.memory import MemoryBroker
from plumbing.postgres import Connection, TupleRow, connect
from projections.projector import LogIdentity, Projector, open_projector
from schemas.topics import DECISIONS, PROGRESS
from tests.support.log_writer import LOG_ID, LogWriter

IDENTITY = LogIdentity(log_id=LOG_ID, partitions=3)


@pytest.fixture
def log() -> LogWriter:
    """A log in which a tenant has published its policy."""
    writer = LogWriter()
    writer.publish_policy()
    return writer


@pytest.fixture
def kafka() -> Kafka:
    connection = MemoryBroker().connection("tests")
    topics = [TopicSpec(name=name, partitions=3) for name in (DECISIONS, PROGRESS)]
    connection.admin().ensure_topics(topics)
    return connection


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[Connection[TupleRow]]:
    with connect(postgres_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def new_projector(kafka: Kafka, postgres_dsn: str) -> Iterator[Callable[..., Projector]]:
    """Opens projectors, each over a connection of its own, and closes them afterwards."""
    with ExitStack() as held:

        def new(schema: str = "views") -> Projector:
            connection = held.enter_context(connect(postgres_dsn, autocommit=True))
            projector = open_projector(kafka, connection, IDENTITY, schema)
            held.callback(projector.follower.close)
            return projector

        yield new


@pytest.fixture
def project(
    log: LogWriter, kafka: Kafka, new_projector: Callable[..., Projector]
) -> Callable[[], None]:
    """Publishes what is new in the log, and applies everything to the views."""
    projectors: list[Projector] = []

    def run() -> None:
        log.publish(kafka)
        if not projectors:
            projectors.append(new_projector())
        follower = projectors[0].follower
        ends = follower.ends()
        while not follower.is_caught_up(ends):
            projectors[0].step(0.05)

    return run

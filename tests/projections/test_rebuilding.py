"""Views are made again beside the ones that serve, and readers notice nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from plumbing.kafka import Connection as Kafka
from plumbing.postgres import Connection, TupleRow, connect
from plumbing.process import Stop
from projections.database import APPLYING_LOCK, REBUILDING_LOCK, take_lock
from projections.projector import Projector
from projections.queries import open_queries
from projections.rebuilding import AlreadyRebuildingError, digests, rebuild
from projections.running import keep_views
from projections.views.positions import OvertakenError
from tests.projections.conftest import IDENTITY
from tests.support.log_writer import TENANT, LogWriter, eventful_log, person
from tests.support.waiting import until


@pytest.fixture
def log() -> LogWriter:
    return eventful_log()


def test_a_rebuild_equals_what_grew_day_by_day(
    log: LogWriter,
    kafka: Kafka,
    project: Callable[[], None],
    database: Connection[TupleRow],
) -> None:
    project()
    log.file_export(person(90))
    project()
    log.carry_out(person(90))
    project()
    before = digests(database)

    assert rebuild(kafka, database, IDENTITY, Stop())

    assert digests(database) == before
    schemas = database.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'views%'")
    assert schemas.fetchall() == [("views",)]


def test_a_rebuild_mends_views_that_were_tampered_with(
    kafka: Kafka, project: Callable[[], None], database: Connection[TupleRow]
) -> None:
    project()
    right = digests(database)
    database.execute("UPDATE views.requests SET state = 'COMPLETED'")
    assert digests(database) != right

    rebuild(kafka, database, IDENTITY, Stop())

    assert digests(database) == right


def test_the_projector_of_the_old_views_is_overtaken_and_a_new_one_goes_on(
    log: LogWriter,
    kafka: Kafka,
    new_projector: Callable[..., Projector],
    database: Connection[TupleRow],
) -> None:
    old = new_projector()
    log.publish(kafka)
    rebuild(kafka, database, IDENTITY, Stop())

    with pytest.raises(OvertakenError):
        old.step(0.05)

    request_id = log.file_export(person(90))
    log.publish(kafka)
    while new_projector().step(0.05):
        pass
    found = database.execute("SELECT 1 FROM views.requests WHERE request_id = %s", (request_id,))
    assert found.fetchone() == (1,)


def test_two_rebuilds_at_once_are_refused(kafka: Kafka, postgres_dsn: str) -> None:
    with (
        connect(postgres_dsn, autocommit=True) as first,
        connect(postgres_dsn, autocommit=True) as second,
    ):
        assert take_lock(first, REBUILDING_LOCK)

        with pytest.raises(AlreadyRebuildingError):
            rebuild(kafka, second, IDENTITY, Stop())


def test_readers_wait_for_a_decision_through_a_rebuild(
    log: LogWriter, kafka: Kafka, postgres_dsn: str, database: Connection[TupleRow]
) -> None:
    log.publish(kafka)
    stop = Stop()
    keeper = threading.Thread(target=keep_views, args=(stop, kafka, postgres_dsn, IDENTITY))
    keeper.start()
    queries = open_queries(postgres_dsn)
    try:
        last = log.entries[-1].decision
        assert queries.wait_for(last.partition, last.seq, 20)
        assert not queries.wait_for(last.partition, last.seq + 1, 0.05)

        for number in range(90, 95):
            request_id = log.file_export(person(number))
            filed = log.entries[-1].decision
            log.publish(kafka)
            assert queries.wait_for(filed.partition, filed.seq, 20)
            assert queries.request_by_id(TENANT, request_id) is not None
            assert rebuild(kafka, database, IDENTITY, Stop())
            assert queries.wait_for(filed.partition, filed.seq, 20)
            assert queries.request_by_id(TENANT, request_id) is not None
    finally:
        stop.set()
        keeper.join(10)
        queries.close()


def test_a_second_projector_stands_by_until_the_first_is_gone(
    log: LogWriter, kafka: Kafka, postgres_dsn: str, database: Connection[TupleRow]
) -> None:
    log.publish(kafka)
    stop = Stop()
    queries = open_queries(postgres_dsn)
    last = log.entries[-1].decision
    with connect(postgres_dsn, autocommit=True) as first:
        assert take_lock(first, APPLYING_LOCK)
        second = threading.Thread(target=keep_views, args=(stop, kafka, postgres_dsn, IDENTITY))
        second.start()
        try:
            until(lambda: lock_attempts(database) >= 1, 10)
            assert not queries.wait_for(last.partition, last.seq, 0.05)
            first.close()
            assert queries.wait_for(last.partition, last.seq, 20)
        finally:
            stop.set()
            second.join(10)
            queries.close()


def lock_attempts(database: Connection[TupleRow]) -> int:
    """Sessions whose last word was to ask for the lock."""
    row = database.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()"
    ).fetchone()
    return row[0] - 1 if row else 0

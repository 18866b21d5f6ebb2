"""Whatever happens to a projector, the views hold each decision once and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from logbook.following import WrongLogError
from plumbing.failpoints import FailpointError, arm, disarm
from plumbing.kafka import Connection as Kafka
from plumbing.kafka import Outgoing
from plumbing.postgres import Connection, TupleRow, connect
from projections.folding import Folding
from projections.projector import LogIdentity, Projector, open_projector, recall
from projections.rebuilding import digests
from projections.views import positions
from projections.views.positions import OvertakenError
from schemas.topics import DECISIONS
from tests.support.log_writer import LOG_ID, LogWriter, eventful_log, person

NewProjector = Callable[..., Projector]


@pytest.fixture
def log() -> LogWriter:
    return eventful_log()


@pytest.fixture
def expected(log: LogWriter, kafka: Kafka, new_projector: NewProjector) -> Mapping[str, str]:
    """What the views are when the whole log was applied at once, undisturbed."""
    log.publish(kafka)
    whole = new_projector("views_expected")
    catch_up(whole)
    return digests(whole._connection, "views_expected")


def catch_up(projector: Projector, batch: int = 2000) -> None:
    ends = projector.follower.ends()
    while not projector.follower.is_caught_up(ends):
        projector.step(0.05, batch)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_views_do_not_depend_on_how_the_log_was_cut_into_batches(
    expected: Mapping[str, str],
    new_projector: NewProjector,
    database: Connection[TupleRow],
    batch: int,
) -> None:
    catch_up(new_projector(), batch)

    assert digests(database) == expected
    assert all(digest != digests_of_nothing() for digest in expected.values())


def digests_of_nothing() -> str:
    return "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_projector_that_is_opened_again_goes_on_where_the_views_are(
    expected: Mapping[str, str], new_projector: NewProjector, database: Connection[TupleRow]
) -> None:
    while new_projector().step(0.05, 9):
        pass

    assert digests(database) == expected


def test_requests_that_fell_out_of_memory_are_folded_from_their_own_events(
    expected: Mapping[str, str], new_projector: NewProjector, database: Connection[TupleRow]
) -> None:
    projector = new_projector()
    projector._folding = Folding(projector._recall, held_max=1)

    catch_up(projector, 5)

    assert digests(database) == expected


def test_a_recalled_request_equals_the_one_that_the_log_makes(
    log: LogWriter,
    expected: Mapping[str, str],
    new_projector: NewProjector,
    database: Connection[TupleRow],
) -> None:
    catch_up(new_projector())
    requests = log.subject(person(3)).requests

    recalled = recall(database, "views", requests)

    assert len(requests) == 2
    assert {request_id: folded.request for request_id, folded in recalled.items()} == requests


def test_records_written_twice_change_nothing(
    log: LogWriter,
    kafka: Kafka,
    expected: Mapping[str, str],
    new_projector: NewProjector,
    database: Connection[TupleRow],
) -> None:
    producer = kafka.producer()
    again = [
        Outgoing(topic=DECISIONS, key=r.key, value=r.value or b"", partition=r.partition)
        for r in log.records[-20:]
    ]
    producer.send_and_wait(again, 5)
    projector = new_projector()

    catch_up(projector)

    assert projector.follower.voids == 20
    assert digests(database) == expected


def test_a_second_projector_is_fenced_out(
    expected: Mapping[str, str], new_projector: NewProjector, database: Connection[TupleRow]
) -> None:
    first, second = new_projector(), new_projector()
    first.step(0.05, 10)
    before = digests(database)

    with pytest.raises(OvertakenError):
        second.step(0.05, 20)

    assert digests(database) == before
    catch_up(first)
    assert digests(database) == expected


def test_nothing_of_a_batch_is_kept_when_its_transaction_fails(
    expected: Mapping[str, str], new_projector: NewProjector, database: Connection[TupleRow]
) -> None:
    arm("projector.applied:2:err")
    projector = new_projector()
    projector.step(0.05, 10)
    before = digests(database)

    with pytest.raises(FailpointError):
        projector.step(0.05, 10)
    disarm()

    assert digests(database) == before
    catch_up(new_projector())
    assert digests(database) == expected


@pytest.mark.parametrize(
    ("failpoint", "kept"), [("projector.applied:3:kill", 14), ("projector.committed:3:kill", 21)]
)
def test_a_projector_killed_around_its_commit_keeps_all_of_a_batch_or_nothing(
    expected: Mapping[str, str],
    new_projector: NewProjector,
    postgres_dsn: str,
    database: Connection[TupleRow],
    failpoint: str,
    kept: int,
) -> None:
    doomed = [sys.executable, "-m", "tests.projections.doomed", postgres_dsn, failpoint]
    died = subprocess.run(doomed, capture_output=True, timeout=60, check=False)

    assert died.returncode == -signal.SIGKILL
    applied = sum(seq + 1 for seq in positions.seqs(database, "views").values())
    rows = database.execute("SELECT count(*) FROM views.commands").fetchone()
    assert rows == (applied,) == (kept,)
    catch_up(new_projector())
    assert digests(database) == expected


def test_views_of_another_log_are_refused(
    kafka: Kafka, new_projector: NewProjector, postgres_dsn: str
) -> None:
    new_projector()
    others = [
        LogIdentity(log_id="00" * 16, partitions=3),
        LogIdentity(log_id=LOG_ID, partitions=2),
        LogIdentity(log_id=LOG_ID, partitions=12),
    ]
    for identity in others:
        with connect(postgres_dsn, autocommit=True) as connection, pytest.raises(WrongLogError):
            open_projector(kafka, connection, identity)

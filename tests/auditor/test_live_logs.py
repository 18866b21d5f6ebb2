"""The auditor reads the log from the broker, with whatever lies between its records."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from auditor import dump
from auditor.cli import app
from auditor.records import LiveLog, NothingFoundError
from auditor.verifying import LogCheck
from plumbing.kafka import Connection as Kafka
from plumbing.kafka import Outgoing, TopicSpec
from plumbing.kafka.memory import MemoryBroker
from proofs.inclusion import decision_leaf
from proofs.tree import leaf_hash, root
from schemas.topics import DECISIONS
from tests.support.log_writer import LOG_ID, LogWriter, eventful_log


@pytest.fixture(scope="module")
def log() -> LogWriter:
    return eventful_log(people=2)


@pytest.fixture
def kafka(log: LogWriter) -> Kafka:
    """The log as a decider leaves it: in transactions, whose marks take offsets of their own."""
    connection = MemoryBroker().connection("tests")
    connection.admin().ensure_topics([TopicSpec(name=DECISIONS, partitions=3)])
    writer = connection.writer("decider")
    writer.fence()
    for start in range(0, len(log.records), 7):
        writer.write(
            [
                Outgoing(topic=DECISIONS, key=r.key, value=r.value or b"", partition=r.partition)
                for r in log.records[start : start + 7]
            ]
        )
    return connection


def test_a_log_written_in_transactions_is_green(log: LogWriter, kafka: Kafka) -> None:
    check = LogCheck()
    with closing(LiveLog(kafka)) as live:
        for record in live.records():
            check.take(record)
        verdict = check.verdict(partitions=live.partitions)

    assert verdict.first_bad is None
    assert verdict.records == len(log.records)
    assert verdict.log_id == LOG_ID


def test_a_copy_of_a_live_log_is_green_and_has_the_same_roots(kafka: Kafka, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with closing(LiveLog(kafka)) as live:
        copied = dump.write(live.records(), path)

    result = CliRunner().invoke(app, ["verify", "--dump", str(path), "--json"])

    assert result.exit_code == 0, result.output
    roots = [p["root"] for p in json.loads(result.stdout)["partitions"]]
    assert roots == [p.root.hex() for p in copied.partitions]


def test_roots_are_those_of_the_published_tree(log: LogWriter) -> None:
    check = LogCheck()
    for record in log.records:
        check.take(record)

    for p in check.verdict().partitions:
        own = [record for record in log.records if record.partition == p.partition]
        leaves = [
            leaf_hash(
                decision_leaf(bytes.fromhex(LOG_ID), r.partition, seq, r.key or b"", r.value or b"")
            )
            for seq, r in enumerate(own)
        ]
        assert p.root == root(leaves)


def test_where_there_is_no_topic_there_is_no_log() -> None:
    with pytest.raises(NothingFoundError):
        LiveLog(MemoryBroker().connection("tests"))


def test_a_topic_with_another_number_of_partitions_is_refused(log: LogWriter) -> None:
    connection = MemoryBroker().connection("tests")
    connection.admin().ensure_topics([TopicSpec(name=DECISIONS, partitions=4)])
    log.publish(connection)
    check = LogCheck()
    with closing(LiveLog(connection)) as live:
        for record in live.records():
            check.take(record)
        first = check.verdict(partitions=live.partitions).first_bad

    assert first is not None
    assert first.wrong == "PARTITIONS_MISMATCH"


def test_a_broker_that_does_not_answer_has_an_exit_code_of_its_own() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"

        result = CliRunner().invoke(app, ["verify", "--bootstrap", nobody])

    assert result.exit_code == 7
    assert "does not answer" in result.stderr

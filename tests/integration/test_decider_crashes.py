"""Deciders that die or sleep at the worst moment, on a real broker: one decision per command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plumbing.kafka import Connection, KafkaConnection
from rights.commands import Actor
from rights.policies import Role
from tests.support.asking import (
    EXPORT,
    LOG_ID,
    PARTITIONS,
    SOURCES,
    Asker,
    asking,
    command,
    make_topics,
)
from tests.support.waiting import until

POINTS = (
    "decider.consumed",
    "decider.begun",
    "decider.produced",
    "decider.committing",
    "decider.committed",
    "decider.read_back",
)


@pytest.fixture
def connection(kafka_bootstrap: str) -> Connection:
    """A broker whose topics are as good as new."""
    found = KafkaConnection(bootstrap=kafka_bootstrap, client_id="tests")
    admin = found.admin()
    admin.delete_topics(sorted(t for t in admin.topics() if t.startswith("rights.")))
    until(lambda: not [t for t in admin.topics() if t.startswith("rights.")], 30)
    admin.close()
    make_topics(found)
    return found


@contextmanager
def decider(
    bootstrap: str, folder: Path, *, instance: str = "decider-1", failpoints: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    env = {
        **os.environ,
        "DECIDER_KAFKA": bootstrap,
        "DECIDER_LOG_ID": LOG_ID,
        "DECIDER_PARTITIONS": str(PARTITIONS),
        "DECIDER_SOURCES": ",".join(SOURCES),
        "DECIDER_INSTANCE": instance,
        "HABEAS_FP": failpoints,
    }
    with (folder / f"{instance}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.decider"], env=env, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(30)


def five_filed(asker: Asker) -> list[str]:
    """Five invented people ask for their data; the ids of their commands."""
    ids = []
    for _ in range(5):
        ref = os.urandom(16).hex()
        command_id = os.urandom(16).hex()
        asker.send(command(EXPORT, Actor(role=Role.SUBJECT, ref=ref), ref, command_id))
        ids.append(command_id)
    return ids


@pytest.mark.parametrize("point", POINTS)
def test_a_decider_killed_at_any_step_leaves_one_decision_per_command(
    point: str, connection: Connection, kafka_bootstrap: str, tmp_path: Path
) -> None:
    with asking(connection) as asker:
        with decider(kafka_bootstrap, tmp_path):
            asker.publish()
        with decider(kafka_bootstrap, tmp_path, failpoints=f"{point}:2:kill") as doomed:
            ids = five_filed(asker)
            ids += five_filed(asker)
            assert doomed.wait(60) == -signal.SIGKILL
        with decider(kafka_bootstrap, tmp_path):
            for command_id in ids:
                asker.answer(command_id, seconds=60)
            asker.file_export(seconds=60)

        assert [len(asker.entries[i]) for i in ids] == [1] * len(ids)
        assert asker.following.voids == 0


def test_a_zombie_that_wakes_up_after_being_replaced_changes_nothing(
    connection: Connection, kafka_bootstrap: str, tmp_path: Path
) -> None:
    """It sleeps between produce and commit; another is started under its name meanwhile."""
    with asking(connection) as asker:
        with decider(kafka_bootstrap, tmp_path):
            asker.publish()
        with decider(kafka_bootstrap, tmp_path, failpoints="decider.committing:2:stop") as zombie:
            ids = five_filed(asker)
            ids += five_filed(asker)
            until(lambda: _is_stopped(zombie.pid), 60)
            with decider(kafka_bootstrap, tmp_path):
                for command_id in ids:
                    asker.answer(command_id, seconds=90)
                zombie.send_signal(signal.SIGCONT)
                assert zombie.wait(60) != 0
                assert asker.file_export(seconds=60).decision.code == ""

        assert [len(asker.entries[i]) for i in ids] == [1] * len(ids)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

"""What only real processes show: killed and stopped writers, against a real broker."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plumbing.kafka import KafkaConnection
from tests.contracts.kafka.stage import Stage, outgoing
from tests.support.waiting import until

_ROOT = Path(__file__).resolve().parents[3]
Start = Callable[[str, str, str], "subprocess.Popen[str]"]


@pytest.fixture
def start(real: KafkaConnection) -> Iterator[Start]:
    """Starts a lone writer with this failpoint, transactional id and topic."""
    running: list[subprocess.Popen[str]] = []

    def start(failpoint: str, transactional_id: str, topic: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.contracts.kafka.lone_writer",
                real.bootstrap,
                transactional_id,
                topic,
            ],
            cwd=_ROOT,
            env={"HABEAS_FP": failpoint, "PATH": os.defpath},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("failpoint", ["begun", "produced", "committing"])
def test_a_writer_killed_before_its_commit_leaves_nothing_and_the_next_goes_on(
    real_stage: Stage, start: Start, failpoint: str
) -> None:
    topic, transactional_id = real_stage.topic(), real_stage.fresh("writer")
    killed = start(f"decider.{failpoint}:1:kill", transactional_id, topic)
    assert killed.wait(30) == -signal.SIGKILL

    successor = real_stage.writer(transactional_id)

    assert real_stage.values(topic) == []
    successor.write(outgoing(topic, b"next"))
    assert real_stage.values(topic) == [b"next"]


def test_what_a_killed_writer_had_sent_really_lay_on_the_broker(
    real_stage: Stage, start: Start
) -> None:
    # Otherwise the test above would prove nothing at `committing`.
    topic, transactional_id = real_stage.topic(), real_stage.fresh("writer")
    killed = start("decider.committing:1:kill", transactional_id, topic)
    killed.wait(30)

    assert real_stage.admin.high_watermarks([(topic, 0)]) == {(topic, 0): 5}
    assert real_stage.reader({}).end_offsets([(topic, 0)]) == {(topic, 0): 0}


def test_a_writer_killed_behind_its_commit_leaves_everything(
    real_stage: Stage, start: Start
) -> None:
    topic, transactional_id = real_stage.topic(), real_stage.fresh("writer")
    killed = start("decider.committed:2:kill", transactional_id, topic)
    killed.wait(30)

    real_stage.writer(transactional_id)

    assert len(real_stage.values(topic)) == 10


@pytest.mark.parametrize("failpoint", ["begun", "produced", "committing"])
def test_a_stopped_writer_that_wakes_up_after_its_successor_is_fenced(
    real_stage: Stage, start: Start, failpoint: str
) -> None:
    topic, transactional_id = real_stage.topic(), real_stage.fresh("writer")
    zombie = start(f"decider.{failpoint}:2:stop", transactional_id, topic)
    until(lambda: _state(zombie.pid) == "T", 30)

    successor = real_stage.writer(transactional_id)
    successor.write(outgoing(topic, b"successor"))
    zombie.send_signal(signal.SIGCONT)
    said, _ = zombie.communicate(timeout=30)

    assert zombie.returncode == 75
    assert said.splitlines()[:2] == ["others fenced", "wrote 0"]
    assert said.splitlines()[2].startswith("Fenced ")
    successor.write(outgoing(topic, b"successor again"))
    values = real_stage.values(topic)
    assert len(values) == 5 + 2
    assert values[-2:] == [b"successor", b"successor again"]


def _state(pid: int) -> str:
    """The kernel's letter for it; T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]

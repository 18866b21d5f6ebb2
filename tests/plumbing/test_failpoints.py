"""Failpoints do nothing until armed, and then exactly what was asked on exactly the hit named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from plumbing import failpoints
from plumbing.failpoints import FailpointError, FailpointSpecError, arm, disarm, fp
from tests.support.waiting import until

HITS = """
import sys
from dataclasses import dataclass
from plumbing.config import load, settings
from plumbing.failpoints import fp

@settings("NOTHING")
@dataclass(frozen=True)
class Nothing:
    pass

load(Nothing)
for number in range(1, 4):
    print(number, flush=True)
    fp("decider.committing")
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    disarm()


def process(spec: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HABEAS_FP": spec}
    return subprocess.Popen(
        [sys.executable, "-c", HITS],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_nothing_happens_when_nothing_is_armed() -> None:
    for name in failpoints.NAMES:
        fp(name)


def test_an_undeclared_name_is_a_bug_even_when_nothing_is_armed() -> None:
    with pytest.raises(AssertionError, match="no_such_place"):
        fp("decider.no_such_place")


def test_an_error_is_raised_on_the_nth_hit_only() -> None:
    arm("bundler.part:2:err")

    fp("bundler.part")
    with pytest.raises(FailpointError, match=r"bundler\.part"):
        fp("bundler.part")
    fp("bundler.part")


def test_each_name_counts_for_itself() -> None:
    arm("eraser.called:1:err, eraser.intent:2:err,eraser.intent:3:err")

    fp("eraser.intent")
    with pytest.raises(FailpointError):
        fp("eraser.called")
    for _ in range(2):
        with pytest.raises(FailpointError):
            fp("eraser.intent")


def test_arming_again_starts_counting_anew() -> None:
    arm("api.produced:1:err")
    with pytest.raises(FailpointError):
        fp("api.produced")
    arm("api.produced:1:err")
    with pytest.raises(FailpointError):
        fp("api.produced")


def test_disarming_ends_it() -> None:
    arm("api.produced:1:err")
    disarm()
    fp("api.produced")


def test_a_sleep_is_as_long_as_asked() -> None:
    arm("keyring.put:1:sleep=30")
    began = time.monotonic()

    fp("keyring.put")

    assert time.monotonic() - began >= 0.03


@pytest.mark.parametrize(
    "spec",
    [
        "decider.no_such_place:1:kill",
        "decider.committing",
        "decider.committing:0:kill",
        "decider.committing:1:explode",
        "decider.committing:one:kill",
        "decider.committing:1:sleep",
        "decider.committing:1:kill,nonsense",
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(spec: str) -> None:
    with pytest.raises(FailpointSpecError):
        arm(spec)


def test_a_process_is_killed_at_the_hit_its_environment_names() -> None:
    with process("decider.committing:2:kill") as child:
        assert child.stdout is not None
        assert child.stdout.read().split() == ["1", "2"]
    assert child.returncode == -signal.SIGKILL


def test_a_stopped_process_goes_on_when_continued() -> None:
    with process("decider.committing:1:stop") as child:
        assert child.stdout is not None
        until(lambda: os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG), 10)
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout.read().split() == ["1", "2", "3"]
    assert child.returncode == 0


def test_a_process_with_a_misspelt_failpoint_does_not_start() -> None:
    with process("decider.comitting:1:kill") as child:
        assert child.stdout is not None
        assert child.stdout.read() == ""
    assert child.returncode == 1

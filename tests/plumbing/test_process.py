"""Processes end when asked, and say so with their exit code when they were not asked."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from plumbing.process import Stop, run_threads

WORKS_UNTIL_STOPPED = """
import sys
from plumbing import telemetry
from plumbing.process import Stop, run_threads

telemetry.configure("demo")
stop = Stop()
stop.install()

def work():
    print("ready", flush=True)
    stop.wait()
    print("finished", flush=True)

sys.exit(run_threads(stop, {"work": work}))
"""
NEVER_FINISHES = WORKS_UNTIL_STOPPED.replace("stop.wait()", "while True: stop.wait(0.01)")


def process(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_work_finish(number: signal.Signals) -> None:
    with process(WORKS_UNTIL_STOPPED) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=20)

    assert out == "finished\n"
    assert child.returncode == 0
    assert number.name in err


def test_a_second_signal_does_not_wait() -> None:
    with process(NEVER_FINISHES) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert "stopping" in child.stderr.readline()
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=20)

    assert child.returncode == -signal.SIGTERM


def test_all_threads_end_well_when_stopped() -> None:
    stop = Stop()
    ended = []

    def work(name: str) -> None:
        stop.wait()
        ended.append(name)

    def stopper() -> None:
        stop.set()

    code = run_threads(stop, {"a": lambda: work("a"), "b": lambda: work("b"), "c": stopper})

    assert code == 0
    assert sorted(ended) == ["a", "b"]


def test_a_thread_that_raises_ends_the_others_and_the_process() -> None:
    stop = Stop()
    ended = threading.Event()

    def fail() -> None:
        raise RuntimeError

    def work() -> None:
        stop.wait()
        ended.set()

    assert run_threads(stop, {"fails": fail, "works": work}) == 1
    assert ended.is_set()


def test_a_thread_that_just_returns_has_died() -> None:
    stop = Stop()

    assert run_threads(stop, {"returns": lambda: None, "works": lambda: _wait(stop)}) == 1


def test_a_thread_that_does_not_end_is_left_behind_and_said() -> None:
    stop, never = Stop(), threading.Event()

    def stopper() -> None:
        stop.set()

    code = run_threads(
        stop,
        {"stuck": lambda: _wait_for(never), "stops": stopper},
        grace=timedelta(milliseconds=50),
    )
    never.set()

    assert code == 1


def test_waiting_says_whether_it_was_set() -> None:
    stop = Stop()

    assert not stop.wait(0.001)
    assert not stop.is_set()
    stop.set()
    assert stop.wait(0.001)
    assert stop.is_set()


def _wait(stop: Stop) -> None:
    stop.wait()


def _wait_for(event: threading.Event) -> None:
    event.wait()

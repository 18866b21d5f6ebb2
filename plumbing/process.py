"""How a process ends: asked to by a signal, or because one of its threads died.

It does not start child processes (devstack does) and holds no state but "we were asked to stop".
"""

import queue
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import FrameType

from plumbing import telemetry

_log = telemetry.get(__name__)


class Stop:
    """Set once, by SIGTERM, SIGINT or a dying thread; loops look at it between two steps."""

    def __init__(self) -> None:
        self._event = threading.Event()
        # Event.set() takes a lock that the interrupted main thread may hold at that very moment;
        # SimpleQueue.put() is the one call the library promises to be safe in a signal handler.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def install(self) -> None:
        """Take SIGTERM and SIGINT. A second signal ends the process at once, as it would have."""
        threading.Thread(target=self._watch, name="stop", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until set or for `timeout` seconds; True if set."""
        return self._event.wait(timeout)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._signals.put(number)

    def _watch(self) -> None:
        number = self._signals.get()
        _log.info("stopping", signal=signal.Signals(number).name)
        self._event.set()


def run_threads(
    stop: Stop,
    threads: Mapping[str, Callable[[], None]],
    *,
    grace: timedelta = timedelta(seconds=20),
) -> int:
    """Run each callable in a thread until `stop`; the answer is the process's exit code.

    A thread that ends before `stop` is set, by returning or by raising, has died: the others are
    stopped and the code is 1, so that whoever started the process sees it. A thread that does not
    end within `grace` is left behind (they are daemons) and also makes the code 1.
    """
    died = threading.Event()

    def guarded(name: str, work: Callable[[], None]) -> None:
        try:
            work()
            if not stop.is_set():
                died.set()
                _log.error("thread_died", thread=name)
        except BaseException as error:  # noqa: BLE001 -- The exit code is the handling.
            died.set()
            _log.error("thread_died", thread=name, error=error)
        finally:
            stop.set()

    running = [
        threading.Thread(target=guarded, args=(name, work), name=name, daemon=True)
        for name, work in threads.items()
    ]
    for thread in running:
        thread.start()
    stop.wait()
    return 1 if _any_left(running, grace) or died.is_set() else 0


def _any_left(running: list[threading.Thread], grace: timedelta) -> bool:
    # Each gets the whole grace: their ends overlap, so the sum is never reached in practice.
    left = False
    for thread in running:
        thread.join(grace.total_seconds())
        if thread.is_alive():
            left = True
            _log.error("thread_left_behind", thread=thread.name)
    return left

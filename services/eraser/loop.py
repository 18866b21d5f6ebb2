"""Takes erase orders, and parks those whose source, keyring or directory does not answer.

A parked order is committed all the same: if we die, the decider sends it again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from logbook.desk import Task
from plumbing import telemetry
from plumbing.directory import DirectoryUnavailable
from plumbing.process import Stop
from plumbing.vault import VaultRefused, VaultUnavailable
from rights.reports import ReportSourceUnavailable
from services.eraser.erasing import EraseOrder, Eraser, OrderWithdrawnError, TooEarlyError
from sources.contract import SourceUnavailable

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
log = telemetry.get("eraser")


@dataclass(slots=True)
class _Parked:
    task: Task
    code: str
    again_at_s: float
    pause_s: float


class EraserLoop:
    """`turn` does one round, so that a test can take rounds one by one."""

    def __init__(self, eraser: Eraser) -> None:
        self._eraser = eraser
        self._parked: dict[str, _Parked] = {}

    def run(self, topics: Sequence[str], stop: Stop) -> None:
        self._eraser.desk.open(topics)
        log.info("ready")
        while not stop.is_set():
            self.turn(0.2, at_s=time.monotonic())

    def turn(self, timeout: float, *, at_s: float) -> None:
        task = self._eraser.desk.take(timeout)
        if task is not None:
            # An order that waits here already is being carried out.
            if task.order.order_id not in self._parked:
                self._attempt(task, at_s)
            self._eraser.desk.done(task)
        for parked in [p for p in self._parked.values() if p.again_at_s <= at_s]:
            if self._eraser.desk.is_pending(parked.task.order):
                self._attempt(parked.task, at_s)
            else:
                self._parked.pop(parked.task.order.order_id, None)

    def _attempt(self, task: Task, at_s: float) -> None:
        order_id = task.order.order_id
        try:
            self._eraser.carry_out(task)
        except OrderWithdrawnError:
            self._parked.pop(order_id, None)
            log.info("order_withdrawn", order_id=order_id)
        except SourceUnavailable as failure:
            self._park(task, failure.code, at_s)
        except VaultUnavailable:
            self._park(task, "KEYRING_UNAVAILABLE", at_s)
        except VaultRefused as refusal:
            # A key that is gone or an order the keyring does not see: the log will tell.
            self._park(task, f"KEYRING_{refusal.code}", at_s)
        except DirectoryUnavailable:
            self._park(task, "DIRECTORY_UNAVAILABLE", at_s)
        except TooEarlyError as early:
            self._park(task, early.code, at_s)
        else:
            self._parked.pop(order_id, None)

    def _park(self, task: Task, code: str, at_s: float) -> None:
        """Say once for each cause why the order waits, and try again ever more rarely."""
        order = task.order
        assert isinstance(order, EraseOrder), "only erase orders are parked"
        known = self._parked.get(order.order_id)
        pause_s = min(known.pause_s * 2, LONGEST_PAUSE_S) if known else FIRST_PAUSE_S
        self._parked[order.order_id] = _Parked(task, code, at_s + pause_s, pause_s)
        eraser = self._eraser
        eraser.producer.send(eraser.reporter.progress(order, order.source, 0))
        if known is None or known.code != code:
            log.warning("order_waits", order_id=order.order_id, source=order.source, code=code)
            report = ReportSourceUnavailable(
                request_id=order.request_id,
                order_id=order.order_id,
                source=order.source,
                code=code,
            )
            eraser.reporter.send(eraser.producer, order, report)

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
from plumbing.kafka import BrokerError
from plumbing.process import Stop
from plumbing.vault import VaultRefused, VaultUnavailable
from rights.reports import ReportSourceUnavailable
from services.eraser.erasing import EraseOrder, Eraser, OrderWithdrawnError, TooEarlyError
from sources.contract import DeclarationError, SourceUnavailable

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
_LATER: Final = (
    SourceUnavailable,
    DeclarationError,
    VaultUnavailable,
    VaultRefused,
    DirectoryUnavailable,
    TooEarlyError,
)
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
            self._settle(task)
        for parked in [p for p in self._parked.values() if p.again_at_s <= at_s]:
            if self._eraser.desk.is_pending(parked.task.order):
                self._attempt(parked.task, at_s)
            else:
                self._parked.pop(parked.task.order.order_id, None)

    def _settle(self, task: Task) -> None:
        try:
            self._eraser.desk.done(task)
        except BrokerError as failure:
            # After a rebalance the order comes again, to whoever has the partition now, and is
            # found to be no longer pending, or done once more: a redo changes nothing.
            log.warning("commit_failed", order_id=task.order.order_id, error=failure)

    def _attempt(self, task: Task, at_s: float) -> None:
        order_id = task.order.order_id
        try:
            self._eraser.carry_out(task)
        except OrderWithdrawnError:
            self._parked.pop(order_id, None)
            log.info("order_withdrawn", order_id=order_id)
        except _LATER as failure:
            self._park(task, waiting_code(failure), at_s)
        except BrokerError as failure:
            log.warning("report_waits", order_id=order_id, error=failure)
            self._keep(task, "", at_s)
        else:
            self._parked.pop(order_id, None)

    def _park(self, task: Task, code: str, at_s: float) -> None:
        """Say once for each cause why the order waits, and try again ever more rarely."""
        order = task.order
        assert isinstance(order, EraseOrder), "only erase orders are parked"
        known = self._parked.get(order.order_id)
        self._keep(task, code, at_s)
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
            try:
                eraser.reporter.send(eraser.producer, order, report)
            except BrokerError:
                self._parked[order.order_id].code = ""

    def _keep(self, task: Task, code: str, at_s: float) -> None:
        order_id = task.order.order_id
        known = self._parked.get(order_id)
        pause_s = min(known.pause_s * 2, LONGEST_PAUSE_S) if known else FIRST_PAUSE_S
        self._parked[order_id] = _Parked(task, code, at_s + pause_s, pause_s)


def waiting_code(failure: Exception) -> str:
    """Why the request waits, in words that a status page may show."""
    match failure:
        case VaultUnavailable():
            return "KEYRING_UNAVAILABLE"
        case VaultRefused(code=code):
            # A key that is gone or an order the keyring does not see: the log will tell.
            return f"KEYRING_{code}"
        case DirectoryUnavailable():
            return "DIRECTORY_UNAVAILABLE"
        case SourceUnavailable(code=code) | DeclarationError(code=code) | TooEarlyError(code=code):
            return code
        case _:
            raise AssertionError("every cause of waiting has a word")

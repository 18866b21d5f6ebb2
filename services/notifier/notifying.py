"""One letter at a time, from the order to the mailer's acceptance.

Rule 1: a letter that may have been accepted is sent again under the same message id, never another.
Rule 2: only the mailer's lasting refusal is reported as failed; everything else is tried again for
as long as the order is pending, and the decider gives it up in its time.
"""

import time
from dataclasses import dataclass, field
from typing import Final

from logbook.desk import Desk, Task
from logbook.reporting import Reporter
from plumbing import telemetry
from plumbing.failpoints import fp
from plumbing.kafka import BrokerError, Producer
from plumbing.mail import Mailer, MailRefused, MailUnavailable
from plumbing.process import Stop
from plumbing.vault import Vault, VaultRefused, VaultUnavailable
from rights.orders import SendNotice
from rights.reports import Report, ReportNoticeFailed, ReportNoticeSent
from schemas.topics import ORDERS_NOTIFY
from services.notifier.letters import letter_for

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
log = telemetry.get("notifier")


@dataclass(slots=True)
class _Waiting:
    task: Task
    again_at_s: float
    pause_s: float
    # What became of the letter, where only the report of it did not get through.
    report: Report | None = None


@dataclass(kw_only=True)
class Notifier:
    """Everything a letter needs; `turn` does one round."""

    desk: Desk
    producer: Producer
    reporter: Reporter
    vault: Vault
    mailer: Mailer
    pages_url: str
    _waiting: dict[str, _Waiting] = field(default_factory=dict)

    def run(self, stop: Stop) -> None:
        self.desk.open([ORDERS_NOTIFY])
        log.info("ready")
        while not stop.is_set():
            self.turn(0.2, at_s=time.monotonic())

    def turn(self, timeout: float, *, at_s: float) -> None:
        task = self.desk.take(timeout)
        if task is not None:
            if task.order.order_id not in self._waiting:
                self._attempt(task, at_s)
            self._settle(task)
        for waiting in [w for w in self._waiting.values() if w.again_at_s <= at_s]:
            if self.desk.is_pending(waiting.task.order):
                self._attempt(waiting.task, at_s)
            else:
                self._waiting.pop(waiting.task.order.order_id, None)

    def _settle(self, task: Task) -> None:
        try:
            self.desk.done(task)
        except BrokerError as failure:
            # After a rebalance the order comes again, to whoever has the partition now.
            log.warning("commit_failed", order_id=task.order.order_id, error=failure)

    def _attempt(self, task: Task, at_s: float) -> None:
        order = task.order
        assert isinstance(order, SendNotice), "only notices are on our topic"
        fp("notifier.order_read")
        known = self._waiting.get(order.order_id)
        report = known.report if known else None
        try:
            # A letter that is out is not sent again because nobody could be told of it.
            report = report or self._send(order, task)
            self.reporter.send(self.producer, order, report)
        except (MailUnavailable, VaultUnavailable, VaultRefused, BrokerError) as failure:
            pause_s = min(known.pause_s * 2, LONGEST_PAUSE_S) if known else FIRST_PAUSE_S
            self._waiting[order.order_id] = _Waiting(task, at_s + pause_s, pause_s, report)
            log.warning("letter_waits", order_id=order.order_id, code=failure.code)
            return
        self._waiting.pop(order.order_id, None)
        fp("notifier.reported")

    def _send(self, order: SendNotice, task: Task) -> Report:
        opened = self.vault.open(order_id=order.order_id, at=(task.partition, task.seq))
        try:
            letter = letter_for(order, opened.fields[order.comms_vault_id], self.pages_url)
            self.mailer.send(letter)
        except MailRefused as refusal:
            log.error("letter_refused", order_id=order.order_id, code=refusal.code)
            return ReportNoticeFailed(
                request_id=order.request_id, order_id=order.order_id, code=refusal.code
            )
        fp("notifier.sent")
        log.info("letter_accepted", order_id=order.order_id)
        return ReportNoticeSent(request_id=order.request_id, order_id=order.order_id)

"""One erase order from its intent to its report.

Rule 1: before the first call of a destructive step its intent is in the log (I-28).
Rule 2: before every batch the order is still pending, and grace is over by our own clock too, so
that a decider gone wrong cannot erase anybody early (T-34).
Rule 3: whoever refuses stops the step; nothing is tried again by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from logbook.attesting import sole_administrator
from logbook.desk import Desk, Task
from logbook.following import Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.directory import Directory
from plumbing.failpoints import fp
from plumbing.kafka import Producer
from plumbing.vault import Vault
from rights.commands import Attested, AttestedFact
from rights.erasure.state import Erasure
from rights.orders import PlanSections, ProbeSections, TreatSections
from rights.reports import Report, ReportSourceRefused, ReportStepStarted
from services.eraser import answers
from sources.contract import (
    TENANT,
    Handles,
    Source,
    SourceDescription,
    SourceRefused,
    SourceUnavailable,
    Step,
)

INTENT_S: Final = 30.0
EraseOrder = PlanSections | TreatSections | ProbeSections
log = telemetry.get("eraser")


class OrderWithdrawnError(Exception):
    """The order is no longer pending; nothing more may be done for it."""


class TooEarlyError(Exception):
    """Grace is not over by our own clock; we wait, whoever ordered it."""

    code = "GRACE_NOT_OVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eraser:
    """Everything an order needs; passed in by `__main__` and by tests alike."""

    desk: Desk
    following: Following
    book: OrderBook
    producer: Producer
    reporter: Reporter
    vault: Vault
    directory: Directory
    sources: Mapping[str, Source]
    clock: Clock
    intent_within_s: float = INTENT_S

    def carry_out(self, task: Task) -> None:
        """Do what the order says, and report it.

        Raises:
            SourceUnavailable, DeclarationError, VaultUnavailable, VaultRefused,
            DirectoryUnavailable, TooEarlyError, BrokerError: try later.
            OrderWithdrawnError: drop it.
        """
        order = task.order
        assert isinstance(order, EraseOrder), "only erase orders are on our topics"
        fp("eraser.order_read")
        try:
            report, attested = self._obey(order, task)
        except SourceRefused as refusal:
            report = ReportSourceRefused(
                request_id=order.request_id,
                order_id=order.order_id,
                source=order.source,
                code=refusal.code,
            )
            attested = ()
        self.reporter.send(self.producer, order, report, attested)
        fp("eraser.reported")
        log.info("order_done", order_id=order.order_id, kind=type(order).__name__)

    def _obey(self, order: EraseOrder, task: Task) -> tuple[Report, Attested]:
        source = self.sources[order.source]
        if isinstance(order, TreatSections):
            self._declare_intent(order)
        opened = self.vault.open(order_id=order.order_id, at=(task.partition, task.seq))
        who = opened.fields[order.handles_vault_id]
        handles = handles_for(source.describe(), who)
        match order:
            case PlanSections():
                attested = (
                    self._attested(who["tenant"], who["stable_id"]) if order.is_recheck else ()
                )
                return answers.planned(order, source.describe(), source.plan(handles)), attested
            case TreatSections():
                return self._treat(order, source, handles), ()
            case ProbeSections():
                return answers.probed(order, source.probe(handles)), ()

    def _declare_intent(self, order: TreatSections) -> None:
        self._permit(order)
        if not self._has_intent(order):
            started = ReportStepStarted(
                request_id=order.request_id, order_id=order.order_id, source=order.source
            )
            self.reporter.send(self.producer, order, started)
            self.following.wait_until(lambda: self._is_settled(order), self.intent_within_s)
            self._permit(order)
            if not self._has_intent(order):
                raise SourceUnavailable("INTENT_NOT_RECORDED")
        fp("eraser.intent")

    def _erasure(self, order: TreatSections) -> Erasure:
        with self.following.lock:
            request = self.book.request(order.subject_ref, order.request_id)
        if not isinstance(request, Erasure):
            raise OrderWithdrawnError
        return request

    def _is_settled(self, order: TreatSections) -> bool:
        """Whether there is nothing to wait for: the intent is in the log, or never will be."""
        return not self.desk.is_pending(order) or self._has_intent(order)

    def _has_intent(self, order: TreatSections) -> bool:
        return self._erasure(order).sources[order.source].started_order == order.order_id

    def _permit(self, order: TreatSections) -> None:
        """Pending in the log, and not early by our clock."""
        if not self.desk.is_pending(order):
            raise OrderWithdrawnError
        erasure = self._erasure(order)
        ends_at = erasure.grace_ends_at
        # Where grace was not skipped and never began, somebody decided what may not be decided.
        is_over = ends_at is not None and ends_at <= self.clock.now()
        if not erasure.grace_skipped and not is_over:
            raise TooEarlyError

    def _treat(self, order: TreatSections, source: Source, handles: Handles) -> Report:
        fresh = answers.planned_items(source.plan(handles))
        if not set(fresh) <= set(order.items):
            raise SourceRefused("PLAN_STALE")
        step = Step(request_id=order.request_id, step_id=order.order_id, fence=order.fence)
        while True:
            self._permit(order)
            done = source.treat(handles, step)
            fp("eraser.called")
            self.producer.send(self.reporter.progress(order, order.source, 50))
            if not done.more:
                return answers.treated(order, done.sections)

    def _attested(self, tenant: str, stable_id: str) -> Attested:
        """The guards' facts, asked again just before the point of no return (I-16)."""
        now = self.clock.now()
        person = self.directory.find(tenant, stable_id=stable_id)
        if person is not None:
            return (sole_administrator(self.directory, tenant, person, now=now),)
        # Who closed their account and left is nobody's administrator, and may still be erased.
        return (
            AttestedFact(
                fact="sole_administrator", value="false", source=f"directory:{tenant}", as_of=now
            ),
        )


def handles_for(description: SourceDescription, person: Mapping[str, Any]) -> Handles:
    """Of what is known of a person only the handles that this source declared."""
    known = {
        **person.get("handles", {}),
        "stable_id": person.get("stable_id"),
        "email": person.get("email"),
        TENANT: person.get("tenant"),
    }
    return {name: str(known[name]) for name in description.handles if known.get(name) is not None}

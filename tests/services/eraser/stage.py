"""An installation with an eraser on it, whose rounds a test takes one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from logbook.desk import Desk
from logbook.orderbook import OrderBook
from plumbing.clock import Clock
from plumbing.kafka import Outgoing
from rights.commands import Actor, ConfirmErasure
from rights.orders import PlanSections, ProbeSections, TreatSections
from schemas.topics import erase_orders
from services.eraser.erasing import Eraser
from services.eraser.loop import EraserLoop
from sources.contract import (
    Handles,
    PlannedItem,
    Probe,
    Probed,
    SectionTreated,
    Source,
    SourceRefused,
    Step,
    Treated,
)
from tests.services.collectors.people import MemorySource
from tests.services.request_api.installation import ADMIN, FaultyProducer, Installation
from tests.support.asking import SOURCES
from tests.support.waiting import until

ERASE_ORDERS = (PlanSections, TreatSections, ProbeSections)


@dataclass
class ErasableSource(MemorySource):
    """A source in memory that erases; `fault` is called with each verb and may raise.

    `calls` are the verbs in order. From the plan after `grows_after` plans on there is one class of
    items more.
    """

    calls: list[str] = field(default_factory=list)
    given: list[Handles] = field(default_factory=list)
    batch: int = 1000
    grows_after: int | None = None
    _done: dict[str, dict[str, int]] = field(default_factory=dict)
    _fences: dict[str, int] = field(default_factory=dict)

    def plan(self, handles: Handles) -> tuple[PlannedItem, ...]:
        self._called("plan", handles)
        items = super().plan(handles)
        if self.grows_after is None or self.calls.count("plan") <= self.grows_after:
            return items
        grown = PlannedItem(
            section="drawings",
            item_class="drawing",
            treatment="delete",
            basis=None,
            keep_until=None,
            scrub=(),
            count=1,
            latest_end=None,
        )
        return (*items, grown)

    def treat(self, handles: Handles, step: Step, *, limit: int = 0) -> Treated:
        self._called("treat", handles)
        if step.fence < self._fences.get(step.request_id, 0):
            raise SourceRefused("FENCE_FELL")
        self._fences[step.request_id] = step.fence
        done = self._done.setdefault(step.step_id, dict.fromkeys(self.rows, 0))
        left = self.batch
        for section, people in self.rows.items():
            mine = people.get(handles["user_id"], [])
            taken = min(left, len(mine))
            del mine[:taken]
            done[section] += taken
            left -= taken
        return Treated(
            sections=tuple(
                SectionTreated(section=section, deleted=count, retained=0, anonymised=0)
                for section, count in done.items()
            ),
            more=any(people.get(handles["user_id"]) for people in self.rows.values()),
            watermark="7",
        )

    def probe(self, handles: Handles) -> Probe:
        self._called("probe", handles)
        return Probe(
            watermark="8",
            sections=tuple(
                Probed(section=section, left=len(people.get(handles["user_id"], [])), retained=0)
                for section, people in self.rows.items()
            ),
        )

    def _called(self, verb: str, handles: Handles) -> None:
        self.calls.append(verb)
        self.given.append(dict(handles))
        self.fault(verb)


def journal_of(user_id: str, *, rows: int = 3) -> ErasableSource:
    entries = [{"id": number, "body": f"entry {number}"} for number in range(rows)]
    return ErasableSource(name="journal", rows={"entries": {user_id: entries}})


def billing_of(user_id: str) -> ErasableSource:
    return ErasableSource(name="billing", rows={"invoices": {user_id: [{"id": 1}]}})


class EraserStage:
    """`sources` may be exchanged until the first eraser is hired."""

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        self.installation = Installation()
        self.sources: Mapping[str, Source] = sources or {}
        self.clock: Clock = self.installation.clock
        self.book = OrderBook(lambda order: isinstance(order, ERASE_ORDERS))
        self.installation.listen(self.book.apply)
        self.fault: Callable[[Outgoing], None] = lambda _: None
        self.intent_within_s = 20.0
        self.at_s = 0.0
        self._desks: list[Desk] = []

    def hire(self) -> EraserLoop:
        """An eraser as after a start: what was not committed comes again."""
        for desk in self._desks:
            desk.close()
        running = self.installation
        producer = FaultyProducer(running.connection.producer())
        producer.fault = self._failing
        reporter = running.reporter("eraser", self.clock)
        group = running.connection.group("eraser", "eraser-1")
        desk = Desk(group, producer, running.following, self.book, reporter)
        desk.open([erase_orders(source) for source in SOURCES])
        self._desks = [desk]
        eraser = Eraser(
            desk=desk,
            following=running.following,
            book=self.book,
            producer=producer,
            reporter=reporter,
            vault=running.keyring.client("eraser"),
            directory=running.directory,
            sources=self.sources,
            clock=self.clock,
            intent_within_s=self.intent_within_s,
        )
        return EraserLoop(eraser)

    def _failing(self, out: Outgoing) -> None:
        self.fault(out)

    def turns(
        self, loop: EraserLoop, holds: Callable[[], object], *, step_s: float = 100.0
    ) -> None:
        """Rounds until something holds; by default each wait of the eraser's is over at once."""

        def turn() -> object:
            self.at_s += step_s
            loop.turn(0.02, at_s=self.at_s)
            return holds()

        until(turn)

    def confirm(self, ref: str, request_id: str, by: Actor = ADMIN) -> None:
        """An administrator confirms, and skips the grace period on a ground."""
        running = self.installation
        body = ConfirmErasure(
            request_id=request_id,
            plan_hash=running.request(ref, request_id).plan_hash,
            reason_vault_id="v1",
            skip_grace=True,
            skip_ground="WRITTEN_WAIVER",
        )
        facts = (
            running.fact("sole_administrator", "false"),
            running.fact("typed_email_matches", "true"),
        )
        assert running.say(body, by, ref, attested=facts).decision.code == ""

    def planned(self, loop: EraserLoop, person: Any) -> tuple[str, str]:
        """An administrator's erasure of a person, with its plan made; subject and request."""
        ref, request_id = self.installation.file_erasure(person, by=ADMIN)
        self.turns(loop, lambda: self.installation.request(ref, request_id).plan_hash)
        return ref, request_id

    def erase(self, loop: EraserLoop, person: Any) -> tuple[str, str]:
        """All that the eraser has to do for a person."""
        ref, request_id = self.planned(loop, person)
        self.confirm(ref, request_id)
        self.turns(loop, lambda: self.has_ended(ref, request_id))
        return ref, request_id

    def has_ended(self, ref: str, request_id: str) -> bool:
        """Whether nothing is left for the eraser, one way or another."""
        request = self.installation.request(ref, request_id)
        return request.phase == "DESTROY_KEYS" or request.state in ("FAILED", "ON_HOLD")

    def wait(self, time: timedelta) -> None:
        self.installation.clock.advance(time)

    def close(self) -> None:
        for desk in self._desks:
            desk.close()

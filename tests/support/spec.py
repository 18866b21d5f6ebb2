"""Tests as a conversation: given events, when a command, then events or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rights import events as ev
from rights.commands import Actor, Asked, Attested, AttestedFact, FireTimer
from rights.decisions import Accepted, Answer, Ignored, Rejected
from rights.orders import Order
from rights.policies import PROFILES, Policy, PolicyReference, Role
from rights.reports import Report
from rights.subject import Request, Subject, SubjectCommand, decide, evolve, pending_orders, timers
from rights.timers import TimerName

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ADA = "a" * 32
TENANT = "7" * 32
COMMAND = "c" * 32
REFERENCE = PolicyReference(partition=0, seq=4, hash=b"\1" * 32)
HERSELF = Actor(role=Role.SUBJECT, ref=ADA)
ADMIN = Actor(role=Role.ADMIN, ref="d" * 32)
COACH = Actor(role=Role.COACH, ref="e" * 32)
WORKER = Actor(role=Role.WORKER, ref="bundler")
CLOCK = Actor(role=Role.CLOCK, ref="scheduler")
POLICY = replace(PROFILES["workspace-admin"], sources=("billing", "journal"))


def attest(**facts: str) -> Attested:
    return tuple(
        AttestedFact(fact=name, value=value, source="directory", as_of=NOW)
        for name, value in facts.items()
    )


NOT_ALONE = attest(sole_administrator="false")


@dataclass(frozen=True)
class Conversation:
    """One subject's story so far; every step returns a new one."""

    subject: Subject = field(default_factory=lambda: Subject(ref=ADA, tenant_ref=TENANT))
    now: datetime = NOW
    policy: Policy = POLICY
    answer: Answer | None = None

    def given(self, *events: ev.RequestEvent) -> Conversation:
        subject = self.subject
        for event in events:
            subject = evolve(subject, event, at=self.now)
        return replace(self, subject=subject)

    def under(self, **values: object) -> Conversation:
        return replace(self, policy=replace(self.policy, **values))  # type: ignore[arg-type]

    def after(self, span: timedelta) -> Conversation:
        return replace(self, now=self.now + span)

    def when(
        self,
        command: SubjectCommand,
        by: Actor = HERSELF,
        *,
        attested: Attested = NOT_ALONE,
        observed_at: datetime | None = None,
        command_id: str = COMMAND,
    ) -> Conversation:
        """Decide, and fold what was decided."""
        asked = Asked(
            command_id=command_id,
            actor=by,
            observed_at=observed_at or self.now,
            number=65,
            policy_reference=REFERENCE,
            subject_ref=self.subject.ref,
            tenant_ref=TENANT,
        )
        answer = decide(
            command, self.subject, now=self.now, policy=self.policy, attested=attested, asked=asked
        )
        told = replace(self, answer=answer)
        return told.given(*answer.events) if isinstance(answer, Accepted) else told  # type: ignore[arg-type]

    def reported(self, report: Report, *, attested: Attested = NOT_ALONE) -> Conversation:
        return self.when(report, WORKER, attested=attested)

    def rings(self, name: TimerName, *, early_by: timedelta = timedelta()) -> Conversation:
        """The timer fires when it is due, or a little before by the broker's clock."""
        timer = next(t for t in timers(self.subject) if t.name is name)
        moved = replace(self, now=timer.due_at)
        fire = FireTimer(request_id=timer.request_id, timer=name, due_at=timer.due_at)
        return moved.when(fire, CLOCK, observed_at=timer.due_at - early_by)

    def then(self, *kinds: type) -> Conversation:
        assert isinstance(self.answer, Accepted), self.answer
        assert tuple(type(e) for e in self.answer.events) == kinds
        return self

    def then_rejected(self, code: str) -> Conversation:
        assert self.answer == Rejected(code)
        return self

    def then_ignored(self) -> Conversation:
        assert self.answer == Ignored()
        return self

    @property
    def request(self) -> Request:
        return list(self.subject.requests.values())[-1]

    @property
    def orders(self) -> list[Order]:
        return list(pending_orders(self.subject))

    def order(self, kind: type, source: str | None = None) -> Order:
        return next(
            o
            for o in self.orders
            if isinstance(o, kind) and source in (None, getattr(o, "source", None))
        )

    def kinds_owed(self) -> list[str]:
        return [type(order).__name__ for order in self.orders]

    def timers(self) -> Sequence[TimerName]:
        return [t.name for t in timers(self.subject)]

"""One partition of the log, folded: subjects, answers, numbers, positions and the head.

Rule 1: `apply` is the only way a ledger changes, and it is given valid decisions only.
Rule 2: `consider` changes nothing; what it drafts becomes true by being recorded and applied.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from rights import commands as cmd
from rights import events as ev
from rights import subject as subjects
from rights.decisions import (
    EMPTY,
    STRIDE,
    Accepted,
    Answer,
    Decision,
    Head,
    Ignored,
    Rejected,
    Verdict,
)
from rights.incoming import INTAKE, Incoming, is_believed
from rights.orders import Order
from rights.policies import (
    Policy,
    PolicyBook,
    PolicyInForce,
    PolicyReference,
    Role,
    effective_at,
    next_version,
)
from rights.references import number_for
from rights.subject import Subject
from rights.timers import DESTRUCTIVE, Timer

GAP_MAX: Final = timedelta(hours=26)
DRIFT_MAX: Final = timedelta(minutes=5)
ANSWERS_KEPT: Final = timedelta(days=90)
MAY_PUBLISH: Final = frozenset({Role.ADMIN, Role.PRIVACY_OFFICER, Role.SYSTEM_ADMIN})
_NO_POLICY: Final = PolicyReference(partition=-1, seq=-1, hash=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How a command was answered, kept so that its repeat gets the same answer."""

    hash: bytes
    seq: int
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A decision before it has a place in the log."""

    verdict: Verdict
    code: str = ""
    policy: PolicyReference | None = None
    events: tuple[ev.Event, ...] = ()


@dataclass(slots=True)
class Ledger:
    """The state of one partition after `head`."""

    partition: int
    head: Head = EMPTY
    log_id: str = ""
    decided_at: datetime | None = None
    subjects: dict[str, Subject] = field(default_factory=dict)
    answers: dict[str, Answered] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    is_clock_suspect: bool = False
    last_tick: tuple[str, int, datetime] | None = None

    def apply(self, decision: Decision, events: tuple[ev.Event, ...], head: Head) -> None:
        """Fold one valid decision; `head` is what `decisions.extend` made of it."""
        self.head = head
        self.log_id = decision.log_id
        self.decided_at = decision.decided_at
        for position in decision.inputs:
            self.positions[position.topic, position.partition] = position.next_offset
        command = decision.command
        self.answers[command.id] = Answered(
            hash=command.hash, seq=decision.seq, decided_at=decision.decided_at
        )
        for event in events:
            self._fold(event, decision)

    def _fold(self, event: ev.Event, decision: Decision) -> None:
        at = decision.decided_at
        match event:
            case ev.LogOpened() | ev.PolicyPublished():
                pass
            case ev.DayTicked(boot_id=boot_id, boot_clock_ms=boot_clock_ms):
                self.last_tick = (boot_id, boot_clock_ms, decision.observed_at)
                self._forget_answers(at)
            case ev.ClockSuspected():
                self.is_clock_suspect = True
            case ev.ClockConfirmed():
                self.is_clock_suspect = False
            case ev.CommandUnreadable(subject_held=is_held):
                if is_held and decision.subject_ref:
                    held = self.subject(decision.subject_ref, decision.tenant_ref or "")
                    self.subjects[held.ref] = replace(held, is_held=True)
            case _:
                self._fold_subject(event, decision)

    def _fold_subject(self, event: ev.RequestEvent, decision: Decision) -> None:
        if isinstance(event, ev.ExportSubmitted | ev.ErasureSubmitted):
            self.counters[decision.tenant_ref or ""] = event.number // STRIDE
        if decision.subject_ref is not None:
            before = self.subject(decision.subject_ref, decision.tenant_ref or "")
            after = subjects.evolve(before, event, at=decision.decided_at)
            self.subjects[after.ref] = after

    def _forget_answers(self, now: datetime) -> None:
        stale = [i for i, a in self.answers.items() if a.decided_at < now - ANSWERS_KEPT]
        for command_id in stale:
            del self.answers[command_id]

    def subject(self, ref: str, tenant_ref: str) -> Subject:
        return self.subjects.get(ref) or Subject(ref=ref, tenant_ref=tenant_ref)

    def pending_orders(self) -> Iterator[Order]:
        for subject in self.subjects.values():
            yield from subjects.pending_orders(subject)

    def timers(self) -> Iterator[tuple[Subject, Timer]]:
        for subject in self.subjects.values():
            for timer in subjects.timers(subject):
                yield subject, timer


def consider(
    ledger: Ledger, book: PolicyBook, incoming: Incoming, *, now: datetime
) -> Draft | None:
    """What the log shall say about a command, or None for what it need not say again."""
    envelope = incoming.envelope
    if not is_believed(incoming.channel, envelope.body):
        return Draft(verdict=Verdict.UNREADABLE, code="WRONG_TOPIC")
    if envelope.id in ledger.answers:
        return None
    suspected = _suspected(ledger, incoming, now)
    in_force = book.in_force(envelope.tenant_ref or "", now=now)
    # A clock that this very command makes suspect must not fire a timer with it.
    may_destroy = not (ledger.is_clock_suspect or suspected)
    answer = _answer(ledger, book, incoming, in_force, now=now, may_destroy=may_destroy)
    reference = in_force.reference if in_force else None
    match answer:
        case Accepted(events=events) if events or incoming.channel == INTAKE:
            return Draft(verdict=Verdict.ACCEPTED, policy=reference, events=suspected + events)
        case Rejected(code=code) if incoming.channel == INTAKE:
            return Draft(verdict=Verdict.REJECTED, code=code, policy=reference, events=suspected)
        case _:
            return None


def _answer(
    ledger: Ledger,
    book: PolicyBook,
    incoming: Incoming,
    in_force: PolicyInForce | None,
    *,
    now: datetime,
    may_destroy: bool,
) -> Answer:
    envelope = incoming.envelope
    if envelope.valid_until is not None and now > envelope.valid_until:
        return Rejected("COMMAND_EXPIRED")
    match envelope.body:
        case cmd.PublishPolicy(policy=policy):
            return _publish(policy, book, incoming, now=now)
        case cmd.ConfirmClock():
            if envelope.actor.role is not Role.SYSTEM_ADMIN:
                return Rejected("FORBIDDEN")
            return Accepted((ev.ClockConfirmed(actor_ref=envelope.actor.ref),))
        case cmd.DayTick(boot_id=boot_id, boot_clock_ms=boot_clock_ms):
            return Accepted((ev.DayTicked(boot_id=boot_id, boot_clock_ms=boot_clock_ms),))
        case cmd.FireTimer(timer=timer) if timer in DESTRUCTIVE and not may_destroy:
            return Ignored()
        case body:
            return _answer_subject(body, ledger, incoming, in_force, now=now)


def _answer_subject(
    body: subjects.SubjectCommand,
    ledger: Ledger,
    incoming: Incoming,
    in_force: PolicyInForce | None,
    *,
    now: datetime,
) -> Answer:
    envelope = incoming.envelope
    if envelope.subject_ref is None or envelope.tenant_ref is None:
        return Rejected("SUBJECT_MISSING")
    if in_force is None and isinstance(body, cmd.SubmitExport | cmd.SubmitErasure):
        return Rejected("POLICY_MISSING")
    subject = ledger.subject(envelope.subject_ref, envelope.tenant_ref)
    if subject.tenant_ref != envelope.tenant_ref:
        return Rejected("NOT_FOUND")
    counter = ledger.counters.get(envelope.tenant_ref, 0) + 1
    asked = cmd.Asked(
        command_id=envelope.id,
        actor=envelope.actor,
        observed_at=incoming.observed_at,
        number=number_for(counter, ledger.partition),
        policy_reference=in_force.reference if in_force else _NO_POLICY,
        subject_ref=envelope.subject_ref,
        tenant_ref=envelope.tenant_ref,
    )
    return subjects.decide(
        body,
        subject,
        now=now,
        policy=in_force.policy if in_force else _NO_PROFILE,
        attested=envelope.attested,
        asked=asked,
    )


# Requests carry their own pinned policy; this stands in where a tenant has none and none is read.
_NO_PROFILE: Final = Policy(profile="")


def _publish(policy: Policy, book: PolicyBook, incoming: Incoming, *, now: datetime) -> Answer:
    envelope = incoming.envelope
    if envelope.actor.role not in MAY_PUBLISH:
        return Rejected("FORBIDDEN")
    tenant_ref = envelope.tenant_ref or ""
    return Accepted(
        (
            ev.PolicyPublished(
                policy=next_version(policy, book, tenant_ref),
                effective_at=effective_at(book, tenant_ref, now=now),
            ),
        )
    )


def _suspected(ledger: Ledger, incoming: Incoming, now: datetime) -> tuple[ev.Event, ...]:
    """A clock is suspect after too long a silence, or when it and the broker's or boot clock part."""
    if ledger.is_clock_suspect or ledger.decided_at is None:
        return ()
    gap = now - ledger.decided_at
    # Late is normal, a command may have waited; earlier than the broker's clock we cannot be.
    drift = max(incoming.observed_at - now, timedelta())
    body = incoming.envelope.body
    if isinstance(body, cmd.DayTick) and ledger.last_tick and ledger.last_tick[0] == body.boot_id:
        booted = timedelta(milliseconds=body.boot_clock_ms - ledger.last_tick[1])
        drift = max(drift, abs(incoming.observed_at - ledger.last_tick[2] - booted))
    if gap <= GAP_MAX and drift <= DRIFT_MAX:
        return ()
    return (ev.ClockSuspected(gap_ms=_milliseconds(gap), drift_ms=_milliseconds(drift)),)


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)

"""One partition: its states folded anew, and whether the law allows each decision.

Rule 1: states are folded by `rights.ledger`, as everybody folds them; whether they may follow each
other is asked of the tables of `rights.lifecycle`, which the decider's own rules do not read.
Rule 2: where a decision's events hold all that the command said, the law is applied again to the
same state and must give the same events. Reports and refusals do not; of them less is asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from auditor.findings import Wrong
from auditor.law.causes import has_cause
from auditor.law.recomputing import recomputed
from auditor.law.refusals import is_founded
from rights import events as ev
from rights.decisions import Decision, Head, Verdict
from rights.erasure.state import Erasure
from rights.export.state import Export
from rights.ledger import Ledger
from rights.lifecycle import (
    ERASURE_PHASES,
    ERASURE_TRANSITIONS,
    EXPORT_PHASES,
    EXPORT_TRANSITIONS,
    Phase,
    State,
)
from rights.orders import KeyScope
from rights.subject import Request, Subject

Remark = tuple[Wrong, str]
_BUSY: Final = frozenset({State.IN_PROGRESS, State.ON_HOLD, State.RECOVERABLE})
_FILING: Final = (ev.ExportSubmitted, ev.ErasureSubmitted)
_PAUSED: Final = (ev.GracePeriodEnded, ev.BundleExpired)
_ENDING: Final = (ev.RequestCompleted, ev.RequestFailed, ev.RequestCancelled)


def _reachable(phases: Mapping[Phase, frozenset[Phase]]) -> dict[Phase, frozenset[Phase]]:
    """From each phase all that some way leads to: one decision may pass through several."""
    reached = {phase: set(following) for phase, following in phases.items()}
    for _ in reached:
        for following in reached.values():
            following.update(*(reached[phase] for phase in tuple(following)))
    return {phase: frozenset(following) for phase, following in reached.items()}


_EXPORT_WAYS: Final = _reachable(EXPORT_PHASES)
_ERASURE_WAYS: Final = _reachable(ERASURE_PHASES)


@dataclass(slots=True)
class LawCheck:
    """Takes a partition's decisions in order; remarks on each what is wrong with it."""

    partition: int
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.partition)

    def take(
        self, decision: Decision, events: tuple[ev.Event, ...], head: Head
    ) -> Iterator[Remark]:
        yield from self._order(decision)
        yield from self._causes(decision, events)
        ref, tenant_ref = decision.subject_ref, decision.tenant_ref or ""
        before = self.ledger.subject(ref or "", tenant_ref)
        yield from _due(decision, events, before)
        is_timed = decision.command.type == "FireTimer"
        if (
            self.ledger.is_clock_suspect
            and is_timed
            and any(isinstance(e, _PAUSED) for e in events)
        ):
            yield Wrong.TOO_EARLY, "destructive timers pause while the clock is suspect"
        if decision.verdict is Verdict.REJECTED and not is_founded(before, decision):
            yield Wrong.WRONG_REFUSAL, f"nothing in the state grounds {decision.code}"
        try:
            if not recomputed(self.ledger, before, decision, events):
                yield Wrong.WRONG_DECISION, f"the law answers {decision.command.type} otherwise"
            self.ledger.apply(decision, events, head)
        except (LookupError, TypeError, ValueError, AttributeError):
            # Folding never fails on what the decider recorded; a forged fact may name what is not.
            yield Wrong.ILLEGAL_TRANSITION, "an event speaks of what its request does not have"
            return
        after = self.ledger.subject(ref or "", tenant_ref)
        for request_id in {e.request_id for e in events if isinstance(e, ev.RequestEvent)}:
            moves = before.requests.get(request_id), after.requests.get(request_id)
            yield from _transition(*moves, [e for e in events if _is_about(e, request_id)])

    def _order(self, decision: Decision) -> Iterator[Remark]:
        ledger = self.ledger
        if ledger.decided_at is not None and decision.decided_at < ledger.decided_at:
            yield Wrong.TIME_WENT_BACK, "decided before its predecessor"
        if decision.command.id in ledger.answers:
            yield Wrong.DECIDED_TWICE, "its command has a decision already"
        for position in decision.inputs:
            place = (position.topic, position.partition)
            if position.next_offset < ledger.positions.get(place, 0):
                yield Wrong.POSITION_WENT_BACK, f"{position.topic} was read further before"

    def _causes(self, decision: Decision, events: tuple[ev.Event, ...]) -> Iterator[Remark]:
        command = decision.command.type
        for event in events:
            if not has_cause(command, event):
                yield Wrong.WRONG_CAUSE, f"{type(event).__name__} cannot follow from {command}"
        if decision.verdict is Verdict.REJECTED and any(_is_of_request(e) for e in events):
            yield Wrong.WRONG_CAUSE, "a refusal moves no request"


def _is_of_request(event: ev.Event) -> bool:
    return isinstance(event, ev.RequestEvent)


def _is_about(event: ev.Event, request_id: str) -> bool:
    return isinstance(event, ev.RequestEvent) and event.request_id == request_id


def _due(decision: Decision, events: tuple[ev.Event, ...], before: Subject) -> Iterator[Remark]:
    """I-11, I-31: whoever asked, nothing that waits for a time happens before it, by two clocks."""
    now = min(decision.decided_at, decision.observed_at)
    is_erased = any(isinstance(event, ev.PointOfNoReturnPassed) for event in events)
    for event in events:
        match event, before.requests.get(getattr(event, "request_id", "")):
            case ev.GracePeriodEnded(), Erasure(grace_ends_at=due_at):
                if due_at is None or due_at > now:
                    yield Wrong.TOO_EARLY, "the grace period was not over"
            case ev.BundleExpired(), Export(expires_at=due_at) if not is_erased:
                if due_at is None or due_at > now:
                    yield Wrong.TOO_EARLY, "the archive's time was not over"
            case _:
                pass


def _transition(
    before: Request | None, after: Request | None, events: list[ev.Event]
) -> Iterator[Remark]:
    filings = sum(isinstance(event, _FILING) for event in events)
    if after is None or filings != (before is None):
        yield Wrong.ILLEGAL_TRANSITION, "a request begins once, with its filing"
        return
    if before is not None:
        yield from _moved(before, after, events)
    if (after.state not in _BUSY) != (after.phase is Phase.NONE):
        yield Wrong.ILLEGAL_TRANSITION, f"{after.state} with phase {after.phase}"
    if after.state is State.COMPLETED and not _is_whole(after):
        yield Wrong.ILLEGAL_TRANSITION, "completed with something left to do"


def _moved(before: Request, after: Request, events: list[ev.Event]) -> Iterator[Remark]:
    is_export = isinstance(after, Export)
    states = EXPORT_TRANSITIONS if is_export else ERASURE_TRANSITIONS
    ways = _EXPORT_WAYS if is_export else _ERASURE_WAYS
    if after.state is not before.state and after.state not in states.get(before.state, ()):
        yield Wrong.ILLEGAL_TRANSITION, f"{before.state} to {after.state}"
    if not before.is_open and any(isinstance(event, _ENDING) for event in events):
        yield Wrong.ILLEGAL_TRANSITION, f"{before.state} and ended again"
    has_way = after.phase in (before.phase, Phase.NONE) or after.phase in ways[before.phase]
    if not has_way:
        yield Wrong.ILLEGAL_TRANSITION, f"phase {before.phase} to {after.phase}"


def _is_whole(request: Request) -> bool:
    """I-17, I-25: nothing is called complete before all of it is done."""
    match request:
        case Export():
            return request.object_key is not None and all(
                run.extent for run in request.sources.values()
            )
        case Erasure():
            is_gone = {KeyScope.CONTENT, KeyScope.COMMS} <= request.destroyed
            return is_gone and all(
                run.treated is not None and run.probed is not None
                for run in request.sources.values()
            )

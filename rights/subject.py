"""One person's requests: `decide` and `evolve`, and the orders and timers they owe.

Knows nothing of positions, chains or numbers: those belong to the ledger.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from rights import commands as cmd
from rights import events as ev
from rights import reports as rp
from rights.decisions import Accepted, Answer, Ignored, Rejected
from rights.erasure import deciding as erasing
from rights.erasure import owing as erasure_owing
from rights.erasure import state as erasure_state
from rights.erasure import working
from rights.erasure.state import Erasure
from rights.export import deciding as exporting
from rights.export import owing as export_owing
from rights.export import state as export_state
from rights.export.state import Export
from rights.lifecycle import Phase
from rights.orders import Order, RemoveBundle
from rights.policies import Policy, Role
from rights.timers import Timer

Request = Export | Erasure
SubjectCommand = (
    cmd.SubmitExport
    | cmd.SubmitErasure
    | cmd.ApproveExport
    | cmd.ConfirmErasure
    | cmd.CancelRequest
    | cmd.GrantDownload
    | cmd.FireTimer
    | rp.Report
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A person in one tenant, known only by random references."""

    ref: str
    tenant_ref: str
    requests: Mapping[str, Request] = field(default_factory=dict)
    is_held: bool = False

    @property
    def exports(self) -> tuple[Export, ...]:
        return tuple(r for r in self.requests.values() if isinstance(r, Export))

    @property
    def erasures(self) -> tuple[Erasure, ...]:
        return tuple(r for r in self.requests.values() if isinstance(r, Erasure))


def decide(
    command: SubjectCommand,
    subject: Subject,
    *,
    now: datetime,
    policy: Policy,
    attested: cmd.Attested,
    asked: cmd.Asked,
) -> Answer:
    """What follows a command; the same arguments always give the same answer."""
    if subject.is_held:
        return Rejected("SUBJECT_ON_HOLD")
    if asked.actor.role is Role.SUBJECT and asked.actor.ref != subject.ref:
        return Rejected("NOT_FOUND")
    match command:
        case cmd.SubmitExport():
            if any(e.is_open and e.is_irreversible for e in subject.erasures):
                return Rejected("CONFLICT_ERASURE")
            return exporting.submit(command, subject.exports, now=now, policy=policy, asked=asked)
        case cmd.SubmitErasure():
            return erasing.submit(
                command, subject.erasures, now=now, policy=policy, attested=attested, asked=asked
            )
        case _:
            request = subject.requests.get(command.request_id)
            answer = _about(command, request, now=now, attested=attested, asked=asked)
            return _with_consequences(answer, subject)


def _about(
    command: SubjectCommand,
    request: Request | None,
    *,
    now: datetime,
    attested: cmd.Attested,
    asked: cmd.Asked,
) -> Answer:
    match command, request:
        case cmd.ApproveExport(), Export():
            return exporting.approve(request, asked)
        case cmd.GrantDownload(), Export():
            return exporting.grant_download(command, request, now=now, asked=asked)
        case cmd.ConfirmErasure(), Erasure():
            return erasing.confirm(command, request, now=now, attested=attested, asked=asked)
        case cmd.CancelRequest(), Export():
            return exporting.cancel(request, asked)
        case cmd.CancelRequest(), Erasure():
            return erasing.cancel(request, asked)
        case cmd.FireTimer(), Export():
            return exporting.fire(command, request, now=now, asked=asked)
        case cmd.FireTimer(), Erasure():
            return erasing.fire(command, request, now=now, asked=asked)
        case (
            cmd.ApproveExport() | cmd.GrantDownload() | cmd.ConfirmErasure() | cmd.CancelRequest(),
            _,
        ):
            return Rejected("NOT_FOUND")
        case (
            cmd.FireTimer() | cmd.SubmitExport() | cmd.SubmitErasure(),
            _,
        ):
            return Ignored()
        case report, Export():
            return exporting.report(report, request, now=now, asked=asked)
        case report, Erasure():
            return working.report(report, request, attested=attested, asked=asked)
        case _:
            return Ignored()


def _with_consequences(answer: Answer, subject: Subject) -> Answer:
    """Past the point of no return the person's open exports end and their archives go."""
    if not isinstance(answer, Accepted):
        return answer
    if not any(isinstance(event, ev.PointOfNoReturnPassed) for event in answer.events):
        return answer
    ended = tuple(
        ev.RequestFailed(request_id=export.request_id, code="SUBJECT_ERASED")
        for export in subject.exports
        if export.is_open
    )
    expired = tuple(
        ev.BundleExpired(request_id=export.request_id)
        for export in subject.exports
        if export.has_live_archive
    )
    return Accepted((*answer.events, *ended, *expired))


def evolve(subject: Subject, event: ev.RequestEvent, *, at: datetime) -> Subject:
    """The subject after an event recorded at `at`; validates nothing and never raises."""
    match event:
        case ev.ExportSubmitted():
            request: Request | None = export_state.submitted(event, at)
        case ev.ErasureSubmitted():
            request = erasure_state.submitted(event, at)
        case _:
            request = _evolved(subject.requests.get(event.request_id), event, at)
    if request is None:
        return subject
    return replace(subject, requests={**subject.requests, request.request_id: request})


def _evolved(request: Request | None, event: ev.RequestEvent, at: datetime) -> Request | None:
    match request:
        case Export():
            return export_state.evolve(request, event, at)  # type: ignore[arg-type] # total: unknown kinds leave it as it is
        case Erasure():
            return erasure_state.evolve(request, event, at)  # type: ignore[arg-type] # total: unknown kinds leave it as it is
        case None:
            return None


def pending_orders(subject: Subject) -> Iterator[Order]:
    """Every order the state owes; nothing is owed for a subject on hold."""
    if subject.is_held:
        return
    removals_owed = False
    for export in subject.exports:
        for order in export_owing.pending_orders(export, subject.ref, subject.tenant_ref):
            removals_owed |= isinstance(order, RemoveBundle)
            yield order
    for erasure in subject.erasures:
        # Archives are copies of the person's data too: they go before the keys do.
        if not (removals_owed and erasure.phase is Phase.DESTROY_KEYS):
            yield from erasure_owing.pending_orders(erasure, subject.ref, subject.tenant_ref)


def timers(subject: Subject) -> Iterator[Timer]:
    """Every time at which the state wants to be woken."""
    for request in subject.requests.values():
        match request:
            case Export():
                yield from export_owing.timers(request)
            case Erasure():
                yield from erasure_owing.timers(request)

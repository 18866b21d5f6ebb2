"""How commands were answered and which downloads were granted, folded from the log.

Keeps the newest answers only; older ones are in the view `commands`.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rights.decisions import Verdict
from rights.events import DownloadGranted, ErasureSubmitted, ExportSubmitted
from schemas.log import Entry

ANSWERS_KEPT: Final = 50_000
GRANTS_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The decision about one command: the reference that it filed, the state it led to."""

    partition: int
    seq: int
    verdict: str
    code: str
    hash: bytes
    reference: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedDownload:
    grant_id: str
    request_id: str
    subject_ref: str
    partition: int
    seq: int
    until: datetime
    tenant_ref: str


class AnswerBook:
    """Fold entries by `apply`; read under the lock of whoever applies."""

    def __init__(self, *, kept: int = ANSWERS_KEPT, grants_kept: int = GRANTS_KEPT) -> None:
        self._kept = kept
        self._grants_kept = grants_kept
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._grants: OrderedDict[str, GrantedDownload] = OrderedDict()
        # As long as nothing was forgotten, what is not here was not answered.
        self.has_forgotten = False

    def apply(self, entry: Entry) -> None:
        decision = entry.decision
        # What could not be read answers nobody. And one key misused for two people may be answered
        # in two partitions: the first answer stands.
        if decision.verdict is Verdict.UNREADABLE or decision.command.id in self._answers:
            return
        filed = [e for e in entry.events if isinstance(e, ExportSubmitted | ErasureSubmitted)]
        self._answers[decision.command.id] = Answer(
            partition=decision.partition,
            seq=decision.seq,
            verdict=decision.verdict,
            code=decision.code,
            hash=decision.command.hash,
            reference=filed[0].reference if filed else "",
            state=state_after(
                decision.command.type,
                [type(event).__name__ for event in entry.events],
                needs_approval=any(getattr(event, "needs_approval", False) for event in filed),
            ),
        )
        if len(self._answers) > self._kept:
            self._answers.popitem(last=False)
            self.has_forgotten = True
        for event in entry.events:
            if isinstance(event, DownloadGranted):
                self._grant(event, entry)

    def _grant(self, event: DownloadGranted, entry: Entry) -> None:
        """Remember it beyond its end, because “expired” is another answer than “unknown”."""
        decision = entry.decision
        self._grants[event.token_sha256] = GrantedDownload(
            grant_id=event.grant_id,
            request_id=event.request_id,
            subject_ref=decision.subject_ref or "",
            tenant_ref=decision.tenant_ref or "",
            partition=decision.partition,
            seq=decision.seq,
            until=event.until,
        )
        while len(self._grants) > self._grants_kept:
            oldest = next(iter(self._grants.values()))
            if oldest.until > decision.decided_at:
                break
            self._grants.popitem(last=False)

    def answer(self, command_id: str) -> Answer | None:
        return self._answers.get(command_id)

    def grant(self, token_sha256: str) -> GrantedDownload | None:
        return self._grants.get(token_sha256)


def state_after(command_type: str, event_types: Collection[str], *, needs_approval: bool) -> str:
    """The state in which an accepted command left its request, from what was decided alone.

    So a repeat gets the first answer even where the request has moved on since.
    """
    match command_type:
        case "SubmitExport" if needs_approval:
            state = "AWAITING_CONFIRMATION"
        case "SubmitErasure" if "GracePeriodStarted" not in event_types:
            state = "AWAITING_CONFIRMATION"
        case "SubmitExport" | "ApproveExport":
            state = "PENDING"
        case "ConfirmErasure" if "GracePeriodSkipped" in event_types:
            state = "IN_PROGRESS"
        case "SubmitErasure" | "ConfirmErasure":
            state = "AWAITING_GRACE"
        case "CancelRequest":
            state = "CANCELLED"
        case "PublishPolicy":
            state = "PUBLISHED"
        case _:
            state = ""
    return state

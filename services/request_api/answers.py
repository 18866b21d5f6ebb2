"""How commands were answered and which downloads were granted, folded from the log.

Keeps the newest answers only; older ones are in the view `commands`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rights.decisions import Verdict
from rights.events import DownloadGranted, ErasureSubmitted, ExportSubmitted
from schemas.log import Entry

ANSWERS_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The decision about one command; `reference` only where it filed a request."""

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

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._grants: dict[str, GrantedDownload] = {}

    def apply(self, entry: Entry) -> None:
        decision = entry.decision
        if decision.verdict is Verdict.UNREADABLE:
            return
        reference, state = "", ""
        for event in entry.events:
            match event:
                case ExportSubmitted():
                    reference = event.reference
                    state = "AWAITING_CONFIRMATION" if event.needs_approval else "PENDING"
                case ErasureSubmitted():
                    reference = event.reference
                    state = "AWAITING_GRACE" if len(entry.events) > 1 else "AWAITING_CONFIRMATION"
                case DownloadGranted():
                    self._grant(event, entry)
                case _:
                    pass
        self._answers[decision.command.id] = Answer(
            partition=decision.partition,
            seq=decision.seq,
            verdict=decision.verdict,
            code=decision.code,
            hash=decision.command.hash,
            reference=reference,
            state=state,
        )
        if len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)

    def _grant(self, event: DownloadGranted, entry: Entry) -> None:
        decision = entry.decision
        at = decision.decided_at
        self._grants = {t: g for t, g in self._grants.items() if g.until > at}
        self._grants[event.token_sha256] = GrantedDownload(
            grant_id=event.grant_id,
            request_id=event.request_id,
            subject_ref=decision.subject_ref or "",
            tenant_ref=decision.tenant_ref or "",
            partition=decision.partition,
            seq=decision.seq,
            until=event.until,
        )

    def answer(self, command_id: str) -> Answer | None:
        return self._answers.get(command_id)

    def grant(self, token_sha256: str) -> GrantedDownload | None:
        return self._grants.get(token_sha256)

"""One partition, record by record: is it this log's, does it extend the chain, is it lawful.

Rule 1: what does not extend the chain is never folded.
Rule 2: after a fact that this release does not know the chain is checked on, states are not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from auditor.chain import ChainCheck, Placed
from auditor.findings import Wrong
from auditor.law.transitions import LawCheck
from plumbing.kafka import Record
from rights import events as ev
from rights.decisions import STRIDE, Decision
from rights.policies import Policy, PolicyReference
from schemas.codec import UndecodableError, decode_as
from schemas.log import Entry, UnknownEventError

_KEYS_OF_NOBODY: Final = frozenset({b"", b"genesis", b"unreadable"})


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A request was filed under a policy; judged when all partitions were read."""

    placed: Placed
    tenant_ref: str
    reference: PolicyReference
    policy: Policy


@dataclass(slots=True)
class Shared:
    """What the partitions of one log have in common, as far as it is known."""

    log_id: str | None = None
    partitions: int | None = None
    published: dict[tuple[int, int], tuple[str, ev.PolicyPublished, bytes]] = field(
        default_factory=dict
    )
    uses: dict[PolicyReference, list[PolicyUse]] = field(default_factory=dict)


@dataclass(slots=True)
class PartitionCheck:
    """Everything that one partition shows by itself."""

    partition: int
    shared: Shared
    records: int = 0
    next_offset: int = 0
    chain: ChainCheck = field(init=False)
    law: LawCheck = field(init=False)
    on_decision: Callable[[ChainCheck, Placed], None] | None = None
    is_folding: bool = True
    _is_damaged: bool = False

    def __post_init__(self) -> None:
        self.chain = ChainCheck(self.partition)
        self.law = LawCheck(self.partition)

    def take(self, record: Record) -> None:
        self.records += 1
        if record.offset < self.next_offset:
            self.chain.find(Wrong.OUT_OF_ORDER, record.offset, None, "its offset was there before")
        self.next_offset = max(self.next_offset, record.offset + 1)
        if self._is_damaged:
            return
        try:
            decision = decode_as(Decision, record.value or b"")
        except UndecodableError as failure:
            # Nobody can read on behind it: what follows is neither good nor bad.
            self._is_damaged = True
            detail = f"no decision ({failure.code}); what follows it was not checked"
            self.chain.find(Wrong.DAMAGED, record.offset, None, detail)
            return
        if self._is_ours(record, decision):
            placed = self.chain.take(record, decision)
            if placed is not None:
                self._judge(placed, record.key or b"")

    def _is_ours(self, record: Record, decision: Decision) -> bool:
        shared = self.shared
        if shared.log_id is None and _is_log_id(decision.log_id):
            shared.log_id = decision.log_id
        place = (record.offset, decision.seq)
        if decision.log_id != shared.log_id:
            self.chain.find(Wrong.WRONG_LOG, *place, "belongs to another log")
        elif decision.partition != self.partition:
            detail = f"belongs to partition {decision.partition}"
            self.chain.find(Wrong.WRONG_PARTITION, *place, detail)
        else:
            return True
        return False

    def _judge(self, placed: Placed, key: bytes) -> None:
        decision = placed.decision
        place = (placed.offset, decision.seq)
        if not _is_own_key(decision, key):
            self.chain.find(Wrong.WRONG_KEY, *place, "its key is not its subject's or tenant's")
        if self.on_decision:
            self.on_decision(self.chain, placed)
        if not self.is_folding:
            return
        try:
            events = Entry(decision, None, placed.head).events
        except UnknownEventError as failure:
            self.is_folding = False
            detail = f"{failure} is not known here; states after it were not checked"
            self.chain.find(Wrong.UNKNOWN_EVENT, *place, detail)
            return
        self._check_genesis(placed, events)
        self._note_policies(placed, events)
        for wrong, detail in self.law.take(decision, events, placed.head):
            self.chain.find(wrong, *place, detail)

    def _check_genesis(self, placed: Placed, events: tuple[ev.Event, ...]) -> None:
        place = (placed.offset, placed.decision.seq)
        opened = [event for event in events if isinstance(event, ev.LogOpened)]
        if bool(opened) != (placed.decision.seq == 0):
            detail = "a partition begins with its genesis, and has one"
            self.chain.find(Wrong.PARTITIONS_MISMATCH, *place, detail)
        for event in opened:
            self.shared.partitions = self.shared.partitions or event.partitions
            same = (event.log_id, event.partitions, event.stride)
            if same != (placed.decision.log_id, self.shared.partitions, STRIDE):
                detail = "its genesis speaks of another log"
                self.chain.find(Wrong.PARTITIONS_MISMATCH, *place, detail)

    def _note_policies(self, placed: Placed, events: tuple[ev.Event, ...]) -> None:
        decision = placed.decision
        for event, body in zip(events, decision.events, strict=True):
            if isinstance(event, ev.PolicyPublished):
                entry = (decision.tenant_ref or "", event, body.body)
                self.shared.published[self.partition, decision.seq] = entry
            elif isinstance(event, ev.ExportSubmitted | ev.ErasureSubmitted):
                uses = self.shared.uses.setdefault(event.policy_reference, [])
                use = PolicyUse(
                    placed, decision.tenant_ref or "", event.policy_reference, event.policy
                )
                # The earliest of a kind is enough to judge all that are like it.
                if not any(_is_like(use, known) for known in uses):
                    uses.append(use)


def _is_like(use: PolicyUse, known: PolicyUse) -> bool:
    is_later = use.placed.decision.decided_at >= known.placed.decision.decided_at
    same = (use.tenant_ref, use.policy, use.placed.decision.policy)
    return is_later and same == (known.tenant_ref, known.policy, known.placed.decision.policy)


def _is_log_id(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == 16 and text == text.lower()  # noqa: PLR2004
    except ValueError:
        return False


def _is_own_key(decision: Decision, key: bytes) -> bool:
    if decision.subject_ref is not None:
        return key == decision.subject_ref.encode()
    owner = (decision.tenant_ref or "").encode()
    return key == owner or key in _KEYS_OF_NOBODY

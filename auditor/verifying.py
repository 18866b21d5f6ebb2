"""The whole log: every partition, what holds between them, and what was seen of it before."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from auditor.chain import ChainCheck, Placed
from auditor.findings import Finding, Wrong
from auditor.partition import PartitionCheck, PolicyUse, Shared
from plumbing.kafka import Record
from rights.export.state import Export

# After these, something of their partition was not read.
_UNREAD: Final = frozenset(
    {
        Wrong.DAMAGED,
        Wrong.GAP,
        Wrong.ALTERED,
        Wrong.TRUNCATED,
        Wrong.WRONG_LOG,
        Wrong.WRONG_PARTITION,
        Wrong.PARTITIONS_MISMATCH,
        Wrong.UNKNOWN_EVENT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a partition's tree was once seen to be: its size and its root."""

    partition: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a copy says that it holds of a partition."""

    partition: int
    records: int
    decisions: int
    root: bytes
    is_intact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionVerdict:
    partition: int
    records: int
    decisions: int
    voids: int
    next_offset: int
    head_hash: bytes
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found; `findings` are in the order of partitions and offsets."""

    log_id: str | None
    partitions: tuple[PartitionVerdict, ...]
    # Requests by kind and state.
    requests: Mapping[tuple[str, str], int]
    findings: tuple[Finding, ...]

    @property
    def first_bad(self) -> Finding | None:
        return self.findings[0] if self.findings else None

    @property
    def records(self) -> int:
        return sum(partition.records for partition in self.partitions)


@dataclass(slots=True)
class LogCheck:
    """Takes records of all partitions, each partition's in order; `verdict` ends it."""

    seen: Iterable[Seen] = ()
    log_id: str | None = None
    # Whether states are asked for, or only chain and tree.
    folds: bool = True
    _shared: Shared = field(init=False)
    _partitions: dict[int, PartitionCheck] = field(default_factory=dict)
    _expected: dict[tuple[int, int], bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._shared = Shared(log_id=self.log_id)
        self._expected = {(s.partition, s.size): s.root for s in self.seen if s.size}

    def take(self, record: Record) -> None:
        check = self._partitions.get(record.partition)
        if check is None:
            check = PartitionCheck(
                record.partition, self._shared, on_decision=self._compare, is_folding=self.folds
            )
            self._partitions[record.partition] = check
        check.take(record)

    def _compare(self, chain: ChainCheck, placed: Placed) -> None:
        root = self._expected.pop((chain.partition, chain.decisions), None)
        if root is not None and root != chain.root:
            detail = f"the first {chain.decisions} decisions are not those that were seen before"
            chain.find(Wrong.ROOT_MISMATCH, placed.offset, placed.decision.seq, detail)

    def verdict(
        self,
        *,
        endings: Iterable[Ending] = (),
        findings: Iterable[Finding] = (),
        partitions: int | None = None,
    ) -> Verdict:
        """What was found.

        Of a copy, `endings` is what it says about itself and `findings` what was wrong with its
        lines; of the log itself, `partitions` is how many its topic has.
        """
        copied = {ending.partition: ending for ending in endings}
        for number, check in self._partitions.items():
            ending = copied.get(number)
            check.chain.end((ending.decisions, ending.root) if ending else None)
            if ending:
                _compare_copy(check, ending)
        found = [f for check in self._partitions.values() for f in check.chain.findings]
        found += (*findings, *self._missing(copied, partitions))
        found += self._policies({f.partition for f in found if f.wrong in _UNREAD})
        return Verdict(
            log_id=self._shared.log_id,
            partitions=tuple(_verdict(check) for _, check in sorted(self._partitions.items())),
            requests=self._requests(),
            findings=tuple(sorted(found, key=Finding.place)),
        )

    def _missing(self, copied: Mapping[int, Ending], partitions: int | None) -> Iterable[Finding]:
        for partition, size in sorted(self._expected):
            yield _finding(Wrong.TRUNCATED, partition, f"once had at least {size} decisions")
        wanted = self._shared.partitions
        if wanted is None:
            return
        if partitions is not None and partitions != wanted:
            detail = f"the topic has {partitions} partitions, its genesis says {wanted}"
            yield _finding(Wrong.PARTITIONS_MISMATCH, None, detail)
        for partition in sorted({*range(wanted), *copied} ^ self._partitions.keys()):
            detail = f"the partition is missing, or is none of the {wanted} of this log"
            yield _finding(Wrong.PARTITIONS_MISMATCH, partition, detail)

    def _policies(self, unread: set[int | None]) -> Iterable[Finding]:
        """Every filing pins the published policy that it names, and the policy was in force."""
        for uses in self._shared.uses.values():
            for use in uses:
                # It may have been published in a part of the log that could not be read.
                is_judged = not unread & {None, use.reference.partition}
                if is_judged and not self._is_published(use):
                    decision = use.placed.decision
                    yield Finding(
                        wrong=Wrong.POLICY_MISMATCH,
                        partition=decision.partition,
                        offset=use.placed.offset,
                        seq=decision.seq,
                        detail="filed under a policy that was not published so, or not in force",
                    )

    def _is_published(self, use: PolicyUse) -> bool:
        reference, decision = use.reference, use.placed.decision
        found = self._shared.published.get((reference.partition, reference.seq))
        if found is None or decision.policy != reference:
            return False
        tenant_ref, event, body = found
        return (
            tenant_ref == use.tenant_ref
            and event.policy == use.policy
            and event.effective_at <= decision.decided_at
            and hashlib.sha256(body).digest() == reference.hash
        )

    def _requests(self) -> Mapping[tuple[str, str], int]:
        return Counter(
            ("EXPORT" if isinstance(request, Export) else "ERASURE", str(request.state))
            for check in self._partitions.values()
            for subject in check.law.ledger.subjects.values()
            for request in subject.requests.values()
        )


def _compare_copy(check: PartitionCheck, ending: Ending) -> None:
    """A copy's own end tells of accidents only; who forges a copy also forges its end."""
    chain, last = check.chain, check.chain.last
    if chain.decisions < ending.decisions and not chain.findings:
        detail = f"the copy had {ending.decisions} decisions, {chain.decisions} are left"
        chain.find(Wrong.TRUNCATED, None, chain.decisions, detail)
    elif not chain.findings and chain.root != ending.root and last is not None:
        # Every other record is committed to by its successor, and those all fit.
        detail = "the copy's end commits to other bytes"
        chain.find(Wrong.ALTERED, last.offset, last.decision.seq, detail)
    elif not chain.findings and (check.records != ending.records or not ending.is_intact):
        detail = "offsets, times or void records of the copy are not as they were copied"
        chain.find(Wrong.COPY_CHANGED, None, None, detail)


def _finding(wrong: Wrong, partition: int | None, detail: str) -> Finding:
    return Finding(wrong=wrong, partition=partition, offset=None, seq=None, detail=detail)


def _verdict(check: PartitionCheck) -> PartitionVerdict:
    chain = check.chain
    return PartitionVerdict(
        partition=check.partition,
        records=check.records,
        decisions=chain.decisions,
        voids=chain.voids,
        next_offset=check.next_offset,
        head_hash=chain.head.hash,
        root=chain.root,
    )

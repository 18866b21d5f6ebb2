"""One partition: its chain, its tree, and which record broke them.

Rule 1: a record counts iff `rights.decisions.extend` says so; the auditor has no rule of its own.
Rule 2: a record that does not extend the log is void where the log goes on without it; where it
does not go on, something is missing or was altered, and what follows tells which record it was.
"""

from dataclasses import dataclass, field
from typing import Final

from auditor.findings import Finding, Wrong
from plumbing.kafka import Record
from proofs.tree import Frontier
from rights.decisions import EMPTY, Decision, Head, extend, leaf_hash

FINDINGS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Placed:
    """A decision at its offset, and the head that it makes."""

    offset: int
    decision: Decision
    head: Head


@dataclass(slots=True)
class _Doubt:
    """Records that do not extend the log, but may be all that is left of its continuation."""

    first: Placed
    head: Head
    # How many follow from the first in an unbroken row, it included, and how many do not.
    linked: int = 1
    unlinked: int = 0
    strays: list[Placed] = field(default_factory=list)


@dataclass(slots=True)
class ChainCheck:
    """Takes a partition's decisions in order; `end` says what was wrong when there are no more."""

    partition: int
    head: Head = EMPTY
    decisions: int = 0
    voids: int = 0
    findings: list[Finding] = field(default_factory=list)
    last: Placed | None = None
    # The tree of all decisions but the last, so that an altered end can be told from its cause.
    _settled: Frontier = field(default_factory=Frontier)
    _doubt: _Doubt | None = None

    def take(self, record: Record, decision: Decision) -> Placed | None:
        """The decision at its place if it extends the log."""
        key, value = record.key or b"", record.value or b""
        head = extend(self.head, decision, key, value)
        if head is not None:
            if self.last is not None:
                self._settled.append(self.last.head.hash)
            self._settle_doubt()
            self.last = Placed(record.offset, decision, head)
            self.head = head
            self.decisions += 1
            return self.last
        if decision.seq <= self.head.seq:
            self._void(record.offset, decision.seq)
        else:
            log_id = bytes.fromhex(decision.log_id)
            own_hash = leaf_hash(log_id, decision.partition, decision.seq, key, value)
            stray = Placed(record.offset, decision, Head(decision.seq, own_hash))
            self._remember(stray, key, value)
        return None

    def _remember(self, stray: Placed, key: bytes, value: bytes) -> None:
        doubt = self._doubt
        if doubt is None:
            doubt = self._doubt = _Doubt(stray, stray.head)
        elif extend(doubt.head, stray.decision, key, value) is not None:
            doubt.head = stray.head
            doubt.linked += 1
        else:
            doubt.unlinked += 1
        if len(doubt.strays) < FINDINGS_MAX:
            doubt.strays.append(stray)

    def _settle_doubt(self) -> None:
        """The log goes on: whatever seemed to be its continuation was not part of it."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            for stray in doubt.strays:
                self._void(stray.offset, stray.decision.seq)
            self.voids += doubt.linked + doubt.unlinked - len(doubt.strays)

    def _void(self, offset: int, seq: int) -> None:
        self.voids += 1
        self.find(Wrong.VOID, offset, seq, "does not extend the log; readers skip it")

    def find(self, wrong: Wrong, offset: int | None, seq: int | None, detail: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(
                Finding(
                    wrong=wrong, partition=self.partition, offset=offset, seq=seq, detail=detail
                )
            )

    @property
    def root(self) -> bytes:
        """RFC 6962 root over the leaves of all decisions."""
        leaves = () if self.last is None else (self.last.head.hash,)
        return self._root_with(*leaves)

    def _root_with(self, *leaves: bytes) -> bytes:
        frontier = Frontier(self._settled.size, self._settled.nodes)
        for leaf in leaves:
            frontier.append(leaf)
        return frontier.root()

    def end(self, expected: tuple[int, bytes] | None = None) -> None:
        """Say what broke the chain, if anything did; an expected size and root help to tell."""
        doubt = self._doubt
        if doubt is None:
            return
        self.voids += doubt.linked + doubt.unlinked
        first, seq, missing = doubt.first, doubt.first.decision.seq, self.head.seq + 1
        if seq > missing:
            span = f"seq {missing}" if seq == missing + 1 else f"seq {missing} to {seq - 1}"
            self.find(Wrong.GAP, first.offset, seq, f"{span} before it missing or unreadable")
        elif self.last is not None and self._was_last_altered(doubt, expected):
            detail = "its successors commit to other bytes"
            self.find(Wrong.ALTERED, self.last.offset, self.last.decision.seq, detail)
        else:
            self.find(Wrong.ALTERED, first.offset, seq, self._misfit(doubt, expected))

    def _was_last_altered(self, doubt: _Doubt, expected: tuple[int, bytes] | None) -> bool:
        """Whether everything would fit, had the last good record the bytes its successor saw."""
        if doubt.linked > 1:
            return True
        claimed = (doubt.first.decision.prev_hash, doubt.first.head.hash)
        return (self._settled.size + 2, self._root_with(*claimed)) == expected

    def _misfit(self, doubt: _Doubt, expected: tuple[int, bytes] | None) -> str:
        if self.last is None or doubt.unlinked or expected is not None:
            return "does not fit its predecessor"
        # Two records that disagree, and nobody behind them to tell which one is right.
        return f"it, or the one before it at offset {self.last.offset}, was altered"

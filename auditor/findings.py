"""What can be wrong with a log, each with the first record that shows it."""

from dataclasses import dataclass
from enum import StrEnum


class Wrong(StrEnum):
    """Codes of findings, the plainest first; they are part of the command's contract."""

    # The record is no decision at all.
    DAMAGED = "DAMAGED"
    # A decision that is not part of the log: every reader skips it, but a healthy log has none.
    VOID = "VOID"
    # Decisions before this one are missing.
    GAP = "GAP"
    # The record's bytes are not those that the log commits to.
    ALTERED = "ALTERED"
    # The end of a partition is missing.
    TRUNCATED = "TRUNCATED"
    # The tree is not the one that was seen before.
    ROOT_MISMATCH = "ROOT_MISMATCH"
    # The copy differs from what was copied, in something that the log does not commit to.
    COPY_CHANGED = "COPY_CHANGED"
    # The copy's records are not in the order of their offsets.
    OUT_OF_ORDER = "OUT_OF_ORDER"
    WRONG_LOG = "WRONG_LOG"
    WRONG_PARTITION = "WRONG_PARTITION"
    WRONG_KEY = "WRONG_KEY"
    # A partition is missing, does not begin with its genesis, or says another number of them.
    PARTITIONS_MISMATCH = "PARTITIONS_MISMATCH"
    TIME_WENT_BACK = "TIME_WENT_BACK"
    # Inputs were read that had been read before.
    POSITION_WENT_BACK = "POSITION_WENT_BACK"
    # One command has two decisions.
    DECIDED_TWICE = "DECIDED_TWICE"
    # From a later release: the chain was checked, states after it were not.
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    # The tables of the lifecycle do not know this way.
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    # The event cannot follow from such a command.
    WRONG_CAUSE = "WRONG_CAUSE"
    # The law, applied to the same state, gives another answer.
    WRONG_DECISION = "WRONG_DECISION"
    # The state holds nothing that such a refusal could rest on.
    WRONG_REFUSAL = "WRONG_REFUSAL"
    # Something happened before its time.
    TOO_EARLY = "TOO_EARLY"
    # A request was filed under another policy than the one published.
    POLICY_MISMATCH = "POLICY_MISMATCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong; `detail` is a sentence and names no one."""

    wrong: Wrong
    partition: int | None
    offset: int | None
    seq: int | None
    detail: str

    def place(self) -> tuple[int, int, int]:
        """Findings of the whole log come first, then each partition's; at one record, by code."""
        return (
            -1 if self.partition is None else self.partition,
            -1 if self.offset is None else self.offset,
            list(Wrong).index(self.wrong),
        )

    def __str__(self) -> str:
        named = {"partition": self.partition, "offset": self.offset, "seq": self.seq}
        where = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
        return f"{where or 'the log'}: {self.wrong}: {self.detail}"

"""Logs as somebody would have to write them who wants to deceive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from auditor.verifying import LogCheck, Verdict
from plumbing.kafka import Record
from rights.decisions import EMPTY, Decision, extend
from schemas.codec import decode_as, encode

Change = Callable[[list[Decision]], list[Decision]]


def verified(records: Sequence[Record], **options: object) -> Verdict:
    check = LogCheck(**options)  # type: ignore[arg-type] # as the test says
    for record in records:
        check.take(record)
    return check.verdict()


def chained_again(records: Sequence[Record], partition: int, change: Change) -> list[Record]:
    """The log with one partition's decisions changed, and a new chain that fits them."""
    own = [record for record in records if record.partition == partition]
    others = [record for record in records if record.partition != partition]
    keys = {record.offset: record.key for record in own}
    decisions = change([decode_as(Decision, record.value or b"") for record in own])
    head, forged = EMPTY, []
    for offset, decision in enumerate(decisions):
        placed = replace(decision, seq=offset, prev_hash=head.hash)
        key = (placed.subject_ref or placed.tenant_ref or "").encode() or keys[offset] or b""
        value = encode(placed)
        extended = extend(head, placed, key, value)
        assert extended is not None
        head = extended
        at = own[min(offset, len(own) - 1)]
        forged.append(at._replace(offset=offset, key=key, value=value))
    return others + forged


def changed(index: int, **fields: object) -> Change:
    """One decision with other fields."""

    def change(decisions: list[Decision]) -> list[Decision]:
        return [
            replace(d, **fields) if i == index else d  # type: ignore[arg-type] # as the test says
            for i, d in enumerate(decisions)
        ]

    return change


def index_of(records: Sequence[Record], partition: int, command_type: str, *, nth: int = 0) -> int:
    """Where the nth decision about such a command stands in a partition."""
    found = [
        record.offset
        for record in records
        if record.partition == partition
        and decode_as(Decision, record.value or b"").command.type == command_type
    ]
    return found[nth]

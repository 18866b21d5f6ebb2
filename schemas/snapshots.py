"""A folded partition as bytes, for the decider's disposable caches; nothing else reads them.

Snapshots are no released messages: one that another schema wrote is simply not read.
"""

from dataclasses import dataclass
from datetime import datetime

from rights.decisions import Head, InputPosition
from rights.erasure.state import Erasure
from rights.export.state import Export
from rights.ledger import Answered, Ledger
from rights.subject import Request, Subject
from schemas.codec import decode_exactly, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSnapshot:
    ref: str
    tenant_ref: str
    is_held: bool
    exports: tuple[Export, ...]
    erasures: tuple[Erasure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSnapshot:
    boot_id: str
    boot_clock_ms: int
    observed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredSnapshot:
    command_id: str
    answered: Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSnapshot:
    next_offset: int
    partition: int
    seq: int
    head_hash: bytes
    log_id: str
    decided_at: datetime | None
    subjects: tuple[SubjectSnapshot, ...]
    answers: tuple[AnsweredSnapshot, ...]
    counters: dict[str, int]
    positions: tuple[InputPosition, ...]
    is_clock_suspect: bool
    last_tick: TickSnapshot | None


def write_snapshot(ledger: Ledger, next_offset: int) -> bytes:
    """The ledger after `next_offset - 1`, sorted, so that equal ledgers give equal bytes."""
    tick = ledger.last_tick
    return encode(
        LedgerSnapshot(
            next_offset=next_offset,
            partition=ledger.partition,
            seq=ledger.head.seq,
            head_hash=ledger.head.hash,
            log_id=ledger.log_id,
            decided_at=ledger.decided_at,
            subjects=tuple(_subject(s) for _, s in sorted(ledger.subjects.items())),
            answers=tuple(
                AnsweredSnapshot(command_id=command_id, answered=answered)
                for command_id, answered in sorted(ledger.answers.items())
            ),
            counters=dict(ledger.counters),
            positions=tuple(
                InputPosition(topic=topic, partition=partition, next_offset=offset)
                for (topic, partition), offset in sorted(ledger.positions.items())
            ),
            is_clock_suspect=ledger.is_clock_suspect,
            last_tick=TickSnapshot(boot_id=tick[0], boot_clock_ms=tick[1], observed_at=tick[2])
            if tick
            else None,
        )
    )


def read_snapshot(data: bytes) -> tuple[int, Ledger]:
    """Next offset and ledger.

    Raises:
        UndecodableError: written by another release, or damaged.
    """
    taken = decode_exactly(LedgerSnapshot, data)
    tick = taken.last_tick
    return taken.next_offset, Ledger(
        partition=taken.partition,
        head=Head(taken.seq, taken.head_hash),
        log_id=taken.log_id,
        decided_at=taken.decided_at,
        subjects={s.ref: _read_subject(s) for s in taken.subjects},
        answers={a.command_id: a.answered for a in taken.answers},
        counters=dict(taken.counters),
        positions={(p.topic, p.partition): p.next_offset for p in taken.positions},
        is_clock_suspect=taken.is_clock_suspect,
        last_tick=(tick.boot_id, tick.boot_clock_ms, tick.observed_at) if tick else None,
    )


def _subject(subject: Subject) -> SubjectSnapshot:
    return SubjectSnapshot(
        ref=subject.ref,
        tenant_ref=subject.tenant_ref,
        is_held=subject.is_held,
        exports=subject.exports,
        erasures=subject.erasures,
    )


def _read_subject(taken: SubjectSnapshot) -> Subject:
    requests: list[Request] = sorted((*taken.exports, *taken.erasures), key=lambda r: r.number)
    return Subject(
        ref=taken.ref,
        tenant_ref=taken.tenant_ref,
        is_held=taken.is_held,
        requests={r.request_id: r for r in requests},
    )

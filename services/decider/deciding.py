"""Records in, decisions out: the part of the decider that does no I/O.

Rule 1: what it holds belongs to one epoch of one partition; on any doubt the owner throws it away
and replays. So it may apply a decision before anybody knows that it was committed.
Rule 2: a batch ends with a publication, so that the next one is decided by the policy as recorded.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from plumbing.kafka import Outgoing, Record
from rights.commands import PublishPolicy
from rights.decisions import (
    STRIDE,
    CommandReference,
    Decision,
    InputPosition,
    Verdict,
    extend,
)
from rights.events import CommandUnreadable, LogOpened
from rights.incoming import Envelope, Incoming
from rights.ledger import Draft, Ledger, consider
from rights.policies import PolicyBook
from rights.references import derived_id
from schemas.codec import UndecodableError, decode, decode_as, encode, schemas_sha256
from schemas.log import Entry, event_body
from schemas.topics import DECISIONS
from schemas.wire import CommandMessage

RAISES_MAX: Final = 3
GENESIS_KEY: Final = b"genesis"
# Below the broker's limit for one record, with room for its framing: a batch that holds a larger
# one could never be committed.
DECISION_BYTES_MAX: Final = 900_000


class LogicFaultError(Exception):
    """`consider` raised: memory must be thrown away before anything else is decided."""

    def __init__(self, record: Record) -> None:
        super().__init__("LOGIC_ERROR")
        self.position = (record.topic, record.partition, record.offset)


class TooLargeError(Exception):
    """The decision would not fit into one record; nothing of it was applied."""


@dataclass(frozen=True, slots=True)
class Written:
    """A decision as a record to be, and what folding it will read back as."""

    entry: Entry
    outgoing: Outgoing


@dataclass(frozen=True, slots=True)
class Dead:
    """An input that nobody could read, for the operator."""

    record: Record
    code: str


@dataclass(slots=True)
class Batch:
    written: list[Written] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    # How many of the records given were dealt with; the rest belongs to the next batch.
    used: int = 0


@dataclass(slots=True)
class Deciding:
    """One partition's decisions; `faults` counts raises per input position over all epochs."""

    ledger: Ledger
    book: PolicyBook
    log_id: str
    channels: dict[str, str]
    faults: dict[tuple[str, int, int], int]
    _moved: dict[tuple[str, int], int] = field(default_factory=dict)

    def genesis(self, partitions: int, *, now: datetime) -> Written:
        """The first record of a partition: the log's identity and its fixed numbers."""
        opened = LogOpened(
            log_id=self.log_id,
            partitions=partitions,
            stride=STRIDE,
            schemas_sha256=schemas_sha256(),
        )
        command = CommandReference(
            id=derived_id("genesis", self.log_id, str(self.ledger.partition)),
            issuer="decider",
            type="Genesis",
            hash=b"",
        )
        draft = Draft(verdict=Verdict.ACCEPTED, events=(opened,))
        return self._record(draft, command, GENESIS_KEY, now=now, observed_at=now)

    def step(self, records: Sequence[Record], *, now: datetime) -> Batch:
        """Decide records in order, each on the state that the ones before it left."""
        batch = Batch()
        for record in records:
            batch.used += 1
            self._moved[record.topic, record.partition] = record.offset + 1
            written = self._decide(record, batch, now=now)
            if written is not None:
                batch.written.append(written)
                if written.entry.decision.command.type == PublishPolicy.__name__:
                    break
        return batch

    def _decide(self, record: Record, batch: Batch, *, now: datetime) -> Written | None:
        try:
            envelope = _envelope(record)
        except UndecodableError as failure:
            return self._unreadable(record, failure.code, batch, now=now)
        position = (record.topic, record.partition, record.offset)
        if self.faults.get(position, 0) >= RAISES_MAX:
            return self._unreadable(record, "LOGIC_ERROR", batch, envelope, now=now)
        incoming = Incoming(
            channel=self.channels[record.topic],
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            observed_at=record.timestamp,
            envelope=envelope,
        )
        try:
            # Time never runs backwards in the log, so it must not in what the log was decided on.
            now = max(now, self.ledger.decided_at or now)
            draft = consider(self.ledger, self.book, incoming, now=now)
        except Exception as failure:
            self.faults[position] = self.faults.get(position, 0) + 1
            raise LogicFaultError(record) from failure
        if draft is None:
            return None
        if draft.verdict is Verdict.UNREADABLE:
            return self._unreadable(record, draft.code, batch, now=now)
        command = CommandReference(
            id=envelope.id, issuer=envelope.issuer, type=envelope.type, hash=envelope.hash
        )
        key = (envelope.subject_ref or envelope.tenant_ref or "").encode()
        try:
            return self._record(
                draft, command, key, now=now, observed_at=record.timestamp, envelope=envelope
            )
        except TooLargeError:
            return self._unreadable(record, "TOO_LARGE", batch, now=now)

    def _unreadable(
        self,
        record: Record,
        code: str,
        batch: Batch,
        envelope: Envelope | None = None,
        *,
        now: datetime,
    ) -> Written | None:
        """Say in the log that a message could not be read; the partition goes on."""
        place = (record.topic, str(record.partition), str(record.offset))
        command_id = derived_id("unreadable", *place)
        if command_id in self.ledger.answers:
            return None
        batch.dead.append(Dead(record, code))
        sha256 = hashlib.sha256(record.value or b"").digest()
        event = CommandUnreadable(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            sha256=sha256,
            subject_held=envelope is not None,
        )
        command = CommandReference(
            id=command_id, issuer=record.topic, type="Unreadable", hash=sha256
        )
        draft = Draft(verdict=Verdict.UNREADABLE, code=code, events=(event,))
        key = (envelope.subject_ref or "").encode() if envelope else b"unreadable"
        return self._record(
            draft, command, key, now=now, observed_at=record.timestamp, envelope=envelope
        )

    def _record(
        self,
        draft: Draft,
        command: CommandReference,
        key: bytes,
        *,
        now: datetime,
        observed_at: datetime,
        envelope: Envelope | None = None,
    ) -> Written:
        ledger = self.ledger
        decision = Decision(
            log_id=self.log_id,
            partition=ledger.partition,
            seq=ledger.head.seq + 1,
            prev_hash=ledger.head.hash,
            decided_at=max(ledger.decided_at or now, now),
            observed_at=observed_at,
            command=command,
            verdict=draft.verdict,
            code=draft.code,
            subject_ref=envelope.subject_ref if envelope else None,
            tenant_ref=envelope.tenant_ref if envelope else None,
            policy=draft.policy,
            attested=envelope.attested if envelope else (),
            events=tuple(event_body(event) for event in draft.events),
            inputs=tuple(
                InputPosition(topic=topic, partition=partition, next_offset=offset)
                for (topic, partition), offset in sorted(self._moved.items())
            ),
        )
        value = encode(decision)
        if len(value) > DECISION_BYTES_MAX:
            raise TooLargeError
        self._moved.clear()
        head = extend(ledger.head, decision, key, value)
        assert head is not None, "a decision made on the head extends it"
        ledger.apply(decision, draft.events, head)
        outgoing = Outgoing(topic=DECISIONS, key=key, value=value, partition=ledger.partition)
        return Written(Entry(decision, draft.events, head), outgoing)


def _envelope(record: Record) -> Envelope:
    message = decode_as(CommandMessage, record.value or b"")
    body = decode(message.body)
    return Envelope(
        id=message.id,
        hash=message.hash,
        issuer=message.issuer,
        actor=message.actor,
        subject_ref=message.subject_ref,
        tenant_ref=message.tenant_ref,
        attested=message.attested,
        issued_at=message.issued_at,
        valid_until=message.valid_until,
        type=type(body).__name__,
        body=body,
    )

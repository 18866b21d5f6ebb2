"""The record of one decision, and the chain that makes a row of them a log.

Knows no wire format: bytes come in, and a verdict goes out.

Rule 1: a record extends the log iff its `seq` follows the head's and its `prev_hash` is the head's
hash. Any other record is void: every reader skips it, by `extend`, and counts it.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rights.commands import AttestedFact
from rights.events import Event
from rights.policies import PolicyReference

LOGIC_VERSION: Final = 1
STRIDE: Final = 64
LEAF_DOMAIN: Final = b"habeas/leaf/v1\0"


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReference:
    """Which command was decided: its id, who issued it, and the keyed hash of its clear body."""

    id: str
    issuer: str
    type: str
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    """One event as its own encoded message, so that a reader may know the chain and not it."""

    type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPosition:
    """The next offset to read of an input topic's partition, after this decision."""

    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How every decision begins: where it belongs. The chain needs to know no more of it."""

    log_id: str
    partition: int
    seq: int
    prev_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Place):
    """What was decided about one command, on what facts and by which policy."""

    decided_at: datetime
    observed_at: datetime
    command: CommandReference
    verdict: Verdict
    code: str = ""
    subject_ref: str | None = None
    tenant_ref: str | None = None
    policy: PolicyReference | None = None
    attested: tuple[AttestedFact, ...] = ()
    events: tuple[EventBody, ...] = ()
    inputs: tuple[InputPosition, ...] = ()
    logic_version: int = LOGIC_VERSION


@dataclass(frozen=True, slots=True)
class Head:
    """The last valid decision of a partition; `seq` is -1 before the first one."""

    seq: int
    hash: bytes


EMPTY: Final = Head(-1, bytes(32))


def leaf_hash(log_id: bytes, partition: int, seq: int, key: bytes, value: bytes) -> bytes:
    """SHA-256 of the RFC 6962 leaf over the bytes as they are on the wire (section 2.1)."""
    framed = struct.pack(">IQI", partition, seq, len(key)) + key + struct.pack(">I", len(value))
    return hashlib.sha256(b"\0" + LEAF_DOMAIN + log_id + framed + value).digest()


def extend(head: Head, place: Place, key: bytes, value: bytes) -> Head | None:
    """The new head if the record extends the log, or None if it is void."""
    if place.seq != head.seq + 1 or place.prev_hash != head.hash:
        return None
    try:
        log_id = bytes.fromhex(place.log_id)
    except ValueError:
        return None
    return Head(place.seq, leaf_hash(log_id, place.partition, place.seq, key, value))


@dataclass(frozen=True, slots=True)
class Accepted:
    """The wish is granted; no events where it was already met."""

    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The wish is refused, with a code of the catalogue."""

    code: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A repeat, a stale report or an idle tick: nothing is recorded."""


Answer = Accepted | Rejected | Ignored

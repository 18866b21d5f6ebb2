"""The messages that stand around commands and orders on the wire.

A body travels as its own encoded message, so that an envelope can be read without knowing it.
"""

from dataclasses import dataclass
from datetime import datetime

from rights.commands import Actor, AttestedFact


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandMessage:
    """A command or report on its way to the decider."""

    id: str
    hash: bytes
    issuer: str
    actor: Actor
    subject_ref: str | None
    tenant_ref: str | None
    attested: tuple[AttestedFact, ...]
    issued_at: datetime
    valid_until: datetime | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMessage:
    """An order on its way to a worker, with the decision at which it was pending."""

    partition: int
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressMessage:
    """A worker's sign of life about an order; never decided."""

    order_id: str
    request_id: str
    worker: str
    source: str
    percent: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRequest:
    """A product service files a request; `sealed` opens only in the keyring (age, X25519)."""

    message_id: str
    right: str
    tenant: str
    sealed: bytes
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeOutcome:
    """What became of a product service's filing."""

    message_id: str
    outcome: str
    code: str
    reference: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Where a message lies that nobody could read: its place and its SHA-256, never its bytes."""

    topic: str
    partition: int
    offset: int
    sha256: bytes
    code: str
    at: datetime

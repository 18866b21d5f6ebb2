"""What people, product services and the clock ask for.

A command is a wish: nothing is true because it was asked. Bodies name no one: people are
`subject_ref`s and everything readable about them lies in the keyring's vault under a `…_vault_id`.
"""

from dataclasses import dataclass
from datetime import datetime

from rights.policies import Policy, PolicyReference, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitExport:
    """A person, or somebody entitled to act for them, asks for a copy of the person's data."""

    sections: tuple[str, ...] = ()
    handles_vault_id: str
    comms_vault_id: str | None = None
    reason_vault_id: str | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitErasure:
    """A person, or somebody entitled to act for them, asks that the person's data be erased."""

    handles_vault_id: str
    comms_vault_id: str | None = None
    reason_vault_id: str | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveExport:
    """An administrator approves an export that a coach proposed."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmErasure:
    """An administrator confirms an erasure, having seen its plan, and may skip the grace period."""

    request_id: str
    plan_hash: str
    reason_vault_id: str
    skip_grace: bool = False
    skip_ground: str | None = None
    evidence_vault_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """Somebody entitled to it takes a request back."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantDownload:
    """Somebody asks to fetch a finished archive; only the SHA-256 of the token is told."""

    request_id: str
    token_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPolicy:
    """A tenant's officer publishes the policy by which new requests shall live."""

    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmClock:
    """An operator confirms that the decider's clock is right, so that timers may fire again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTick:
    """The scheduler's daily sign of life in every partition, with its boot clock beside it."""

    boot_id: str
    boot_clock_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FireTimer:
    """The scheduler found a timer of a request due."""

    request_id: str
    timer: str
    due_at: datetime


IntakeCommand = (
    SubmitExport
    | SubmitErasure
    | ApproveExport
    | ConfirmErasure
    | CancelRequest
    | GrantDownload
    | PublishPolicy
    | ConfirmClock
)
ClockCommand = DayTick | FireTimer


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a role and a pseudonymous reference."""

    role: Role
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedFact:
    """A fact beyond the subject, with who says so and as of when."""

    fact: str
    value: str
    source: str
    as_of: datetime


Attested = tuple[AttestedFact, ...]


def attested_value(attested: Attested, fact: str) -> str | None:
    return next((a.value for a in attested if a.fact == fact), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The circumstances of one command: its id, its actor, and what the decider assigns to it."""

    command_id: str
    actor: Actor
    observed_at: datetime
    number: int
    policy_reference: PolicyReference
    subject_ref: str
    tenant_ref: str


SubjectWish = (
    SubmitExport
    | SubmitErasure
    | ApproveExport
    | ConfirmErasure
    | CancelRequest
    | GrantDownload
    | FireTimer
)

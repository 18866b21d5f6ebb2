"""What became true: the facts that decisions record.

Each docstring is one sentence that a lawyer can read. Events carry results, never wishes, so that
folding them needs no rule.
"""

from dataclasses import dataclass
from datetime import datetime

from rights.lifecycle import Outcome
from rights.policies import Policy, PolicyReference, Role
from rights.reports import Extent, PlannedItem, ProbedSection, TreatedSection


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpened:
    """The log of this partition begins here, with its identity and its fixed numbers."""

    log_id: str
    partitions: int
    stride: int
    schemas_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTicked:
    """A day began in this partition."""

    boot_id: str
    boot_clock_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSuspected:
    """The clocks disagree or time stood still too long: destructive timers wait for a person."""

    gap_ms: int
    drift_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockConfirmed:
    """A person confirmed the clock; destructive timers go on."""

    actor_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandUnreadable:
    """A message could not be understood; it is kept as its position and SHA-256 only."""

    topic: str
    partition: int
    offset: int
    sha256: bytes
    subject_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPublished:
    """A tenant published the policy by which its new requests live from `effective_at` on."""

    policy: Policy
    effective_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSubmitted:
    """A copy of a person's data was asked for; the policy is pinned with all its values."""

    request_id: str
    reference: str
    number: int
    filed_by: Role
    filer_ref: str
    needs_approval: bool
    sections: tuple[str, ...]
    handles_vault_id: str
    comms_vault_id: str | None
    reason_vault_id: str | None
    language: str
    policy: Policy
    policy_reference: PolicyReference
    deadline_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportApproved:
    """An administrator approved a proposed export."""

    request_id: str
    approver_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStarted:
    """A source's data began to be collected."""

    request_id: str
    source: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsCollected:
    """A source's sections were collected completely; the extent says where they lie."""

    request_id: str
    source: str
    extent: Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBecameUnavailable:
    """A source does not answer, so the request waits for it."""

    request_id: str
    source: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsLost:
    """Collected fragments can no longer be read, so their source is collected again."""

    request_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSealed:
    """The archive is finished, uploaded, read back and signed."""

    request_id: str
    object_key: str
    ciphertext_sha256: bytes
    size_bucket: int
    contents_vault_id: str
    outcome: Outcome
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent:
    """The mailer accepted a notice."""

    request_id: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFailed:
    """A notice was given up."""

    request_id: str
    template: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadGranted:
    """Somebody entitled to it may fetch the archive until the time given."""

    request_id: str
    grant_id: str
    actor_role: Role
    actor_ref: str
    token_sha256: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleExpired:
    """The archive's time is over; it is no longer given out and is to be removed."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRemoved:
    """The archive and every leftover of it were removed from the store."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureSubmitted:
    """The erasure of a person's data was asked for; the policy is pinned with all its values."""

    request_id: str
    reference: str
    number: int
    filed_by: Role
    filer_ref: str
    handles_vault_id: str
    comms_vault_id: str | None
    reason_vault_id: str | None
    language: str
    policy: Policy
    policy_reference: PolicyReference
    deadline_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsPlanned:
    """A source said what an erasure would do to its sections."""

    request_id: str
    source: str
    declaration_hash: str
    items: tuple[PlannedItem, ...]
    is_recheck: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFrozen:
    """The plan of the erasure is complete and fixed under its hash."""

    request_id: str
    plan_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureConfirmed:
    """An administrator confirmed the erasure, with a reason and the state of the grace toggle."""

    request_id: str
    actor_role: Role
    actor_ref: str
    reason_vault_id: str
    grace_skipped: bool
    skip_ground: str | None
    evidence_vault_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GracePeriodStarted:
    """Nothing is touched until the time given, and the request can be cancelled until then."""

    request_id: str
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GracePeriodSkipped:
    """The grace period was skipped on a recorded ground."""

    request_id: str
    ground: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GracePeriodEnded:
    """The grace period ran out without a cancellation."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointOfNoReturnPassed:
    """Plan and guards were checked again; from here the erasure can only go on."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A destructive step on a source is about to begin."""

    request_id: str
    source: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsTreated:
    """A source deleted, anonymised or retained its sections as planned."""

    request_id: str
    source: str
    results: tuple[TreatedSection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionsProbed:
    """A source was asked what is left, at a watermark, and nothing was that should be gone."""

    request_id: str
    source: str
    watermark: str
    results: tuple[ProbedSection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemHeld:
    """After the point of no return a source failed to do as planned; a person must look."""

    request_id: str
    source: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKeysDestroyed:
    """Keys were destroyed after the barrier; what they sealed can no longer be read."""

    request_id: str
    scope: str
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCompleted:
    """The request is fulfilled."""

    request_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed:
    """The request ended without being fulfilled; a person may file a fresh one."""

    request_id: str
    code: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancelled:
    """The request was taken back and nothing more is done for it."""

    request_id: str
    actor_role: Role
    actor_ref: str


ExportEvent = (
    ExportSubmitted
    | ExportApproved
    | CollectionStarted
    | SectionsCollected
    | SectionsLost
    | BundleSealed
    | DownloadGranted
    | BundleExpired
    | BundleRemoved
)
ErasureEvent = (
    ErasureSubmitted
    | SectionsPlanned
    | PlanFrozen
    | ErasureConfirmed
    | GracePeriodStarted
    | GracePeriodSkipped
    | GracePeriodEnded
    | PointOfNoReturnPassed
    | StepStarted
    | SectionsTreated
    | SectionsProbed
    | ItemHeld
)
SharedEvent = (
    SourceBecameUnavailable
    | NoticeSent
    | NoticeFailed
    | SubjectKeysDestroyed
    | RequestCompleted
    | RequestFailed
    | RequestCancelled
)
RequestEvent = ExportEvent | ErasureEvent | SharedEvent
SystemEvent = (
    LogOpened | DayTicked | ClockSuspected | ClockConfirmed | CommandUnreadable | PolicyPublished
)
Event = RequestEvent | SystemEvent

"""The rows of the views as services get them: one dataclass a view, its fields named as columns."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """One request. `version` counts the decisions about it; the last is at (partition, seq)."""

    request_id: str
    tenant_ref: str
    subject_ref: str
    version: int
    partition: int
    seq: int
    reference: str
    number: int
    kind: str
    state: str
    phase: str
    outcome: str | None
    failure: str
    failed_source: str
    filed_by: str
    filer_ref: str
    filed_at: datetime
    deadline_at: datetime
    moved_at: datetime
    profile: str
    policy_version: int
    language: str
    notice: str
    waiting_source: str
    waiting_code: str
    waiting_since: datetime | None
    sections: Sequence[str]
    object_key: str | None
    contents_vault_id: str | None
    expires_at: datetime | None
    is_expired: bool
    is_removed: bool
    plan_hash: str
    grace_ends_at: datetime | None
    grace_skipped: bool
    skip_ground: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandView:
    """How a command was answered; request and reference where the answer is about one."""

    command_id: str
    partition: int
    seq: int
    command_type: str
    verdict: str
    code: str
    hash: bytes
    decided_at: datetime
    tenant_ref: str | None
    subject_ref: str | None
    request_id: str | None
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """One event of a request; `event_index` counts within its decision."""

    request_id: str
    partition: int
    seq: int
    event_index: int
    at: datetime
    event_type: str
    command_type: str
    actor_role: str | None
    actor_ref: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """A source (section '') or one of its sections; counts are buckets, None where not known."""

    request_id: str
    source: str
    section: str
    state: str
    attempt: int
    waiting_code: str
    waiting_since: datetime | None
    held_code: str
    collected_at: datetime | None
    items: Sequence[Mapping[str, str]]
    deleted_bucket: int | None
    anonymised_bucket: int | None
    retained_bucket: int | None
    left_bucket: int | None
    kept_bucket: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """The latest sign of life of an order."""

    order_id: str
    request_id: str
    worker: str
    source: str
    percent: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which request of a list the next page begins; whoever hands it out may sign it."""

    filed_at: datetime
    request_id: str

    def encode(self) -> str:
        text = f"{self.filed_at.isoformat()} {self.request_id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """The cursor that `encode` wrote.

        Raises:
            ValueError: it did not.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            filed_at, request_id = base64.urlsafe_b64decode(padded).decode("ascii").split(" ")
            at = datetime.fromisoformat(filed_at)
        except (binascii.Error, UnicodeError, ValueError):
            raise ValueError("not a cursor") from None
        if at.tzinfo is None:
            raise ValueError("not a cursor")
        return cls(at, request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Requests, newest first; `next` is None on the last page."""

    rows: Sequence[RequestView]
    next: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which requests of a tenant; what is empty does not narrow."""

    subject_ref: str | None = None
    kind: str | None = None
    states: Sequence[str] = ()


EVERY = Filter()

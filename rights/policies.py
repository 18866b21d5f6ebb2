"""A tenant's policy: the values that shape its requests, named, versioned and decided.

The four shipped profiles reproduce the four products that habeas grew from. A policy is pinned,
values and all, into each request at filing: a later change never reaches an open request.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class StaleRun(StrEnum):
    """What becomes of a run that a restart of its worker cut off."""

    RESUME = "RESUME"
    FAIL = "FAIL"


class PackageFormat(StrEnum):
    ZIP = "ZIP"
    JSON_BUNDLE = "JSON_BUNDLE"


class Role(StrEnum):
    """In what capacity somebody acts; `SUBJECT` is the person whose data it is."""

    SUBJECT = "SUBJECT"
    COACH = "COACH"
    ADMIN = "ADMIN"
    PRIVACY_OFFICER = "PRIVACY_OFFICER"
    SYSTEM_ADMIN = "SYSTEM_ADMIN"
    SERVICE = "SERVICE"
    WORKER = "WORKER"
    CLOCK = "CLOCK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The values a request lives by from filing to its end."""

    profile: str
    version: int = 1
    sources: tuple[str, ...] = ()
    export_roles: tuple[str, ...] = (Role.SUBJECT, Role.COACH, Role.ADMIN, Role.SERVICE)
    erasure_roles: tuple[str, ...] = (Role.SUBJECT, Role.COACH, Role.ADMIN, Role.SERVICE)
    approval_required_for: tuple[str, ...] = (Role.COACH,)
    download_roles: tuple[str, ...] = (Role.SUBJECT, Role.ADMIN)
    guards: tuple[str, ...] = ()
    grace: timedelta = timedelta(days=30)
    artifact_ttl: timedelta = timedelta(days=7)
    download_url_ttl: timedelta = timedelta(hours=1)
    wait_max: timedelta = timedelta(minutes=15)
    stale_run: StaleRun = StaleRun.RESUME
    notify_ready_required: bool = False
    dedupe_live_artifact: bool = False
    package_format: PackageFormat = PackageFormat.ZIP
    audit_retention: timedelta = timedelta(days=7 * 365 + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReference:
    """Where in the log the policy that a decision used was decided, and its SHA-256."""

    partition: int
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    policy: Policy
    reference: PolicyReference
    effective_at: datetime


PROFILES: Final[dict[str, Policy]] = {
    "workspace-admin": Policy(
        profile="workspace-admin",
        guards=("sole_administrator",),
        package_format=PackageFormat.JSON_BUNDLE,
    ),
    "member-portal": Policy(
        profile="member-portal",
        export_roles=(Role.SUBJECT,),
        erasure_roles=(),
        approval_required_for=(),
        download_roles=(Role.SUBJECT,),
        wait_max=timedelta(hours=24),
    ),
    "org-jobs": Policy(
        profile="org-jobs",
        export_roles=(Role.PRIVACY_OFFICER, Role.ADMIN, Role.SERVICE),
        erasure_roles=(Role.PRIVACY_OFFICER, Role.ADMIN, Role.SERVICE),
        approval_required_for=(),
        download_roles=(Role.ADMIN, Role.PRIVACY_OFFICER),
        grace=timedelta(0),
        wait_max=timedelta(hours=24),
    ),
    "self-serve-api": Policy(
        profile="self-serve-api",
        export_roles=(Role.SUBJECT,),
        erasure_roles=(),
        approval_required_for=(),
        download_roles=(Role.SUBJECT,),
        download_url_ttl=timedelta(minutes=5),
        stale_run=StaleRun.FAIL,
        notify_ready_required=True,
        dedupe_live_artifact=True,
    ),
}

# A weaker protection must not reach people before somebody can object to it.
WEAKER_AFTER: Final = timedelta(hours=24)


@dataclass(slots=True)
class PolicyBook:
    """Every tenant's published policies, folded from the whole log."""

    published: dict[str, list[PolicyInForce]] = field(default_factory=dict)

    def publish(self, tenant_ref: str, entry: PolicyInForce) -> None:
        self.published.setdefault(tenant_ref, []).append(entry)

    def in_force(self, tenant_ref: str, *, now: datetime) -> PolicyInForce | None:
        """The newest policy whose time has come, or None for a tenant without one."""
        due = [p for p in self.published.get(tenant_ref, ()) if p.effective_at <= now]
        return due[-1] if due else None

    def newest_version(self, tenant_ref: str) -> int:
        entries = self.published.get(tenant_ref)
        return entries[-1].policy.version if entries else 0


def effective_at(book: PolicyBook, tenant_ref: str, *, now: datetime) -> datetime:
    """When a policy published now begins: a tenant's first at once, every later one after 24 h."""
    return now + WEAKER_AFTER if book.newest_version(tenant_ref) else now


def next_version(policy: Policy, book: PolicyBook, tenant_ref: str) -> Policy:
    return replace(policy, version=book.newest_version(tenant_ref) + 1)

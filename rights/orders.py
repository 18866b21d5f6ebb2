"""Work that a state owes: one dataclass an order, and no rule.

Which orders are pending is a pure function of a request's state (`export.owing`, `erasure.owing`).
`fence` rises with every order of one (request, source); a source refuses to see it fall.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rights.policies import PackageFormat, Role
from rights.reports import Extent, PlannedItem, Report, ReportExtentsGone


class KeyScope(StrEnum):
    """What a DestroyKeys order is about."""

    REQUEST = "REQUEST"
    CONTENT = "CONTENT"
    COMMS = "COMMS"


class Template(StrEnum):
    """Which letter a notice is."""

    EXPORT_READY = "EXPORT_READY"
    ERASURE_COMPLETED = "ERASURE_COMPLETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSections:
    """Collect a source's sections for an export."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    source: str
    sections: tuple[str, ...]
    handles_vault_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceExtent:
    source: str
    extent: Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class SealBundle:
    """Assemble, upload and sign the archive of an export."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    reference: str
    filed_at: datetime
    filed_by: Role
    profile: str
    policy_version: int
    package_format: PackageFormat
    language: str
    handles_vault_id: str
    extents: tuple[SourceExtent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveBundle:
    """Remove an archive, and everything an unfinished one left behind."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendNotice:
    """Send the person a letter."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    template: Template
    reference: str
    language: str
    comms_vault_id: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSections:
    """Ask a source what an erasure would do; `is_recheck` asks again before it is done."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    source: str
    handles_vault_id: str
    is_recheck: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatSections:
    """Delete, anonymise or retain a source's sections as the frozen plan says."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    source: str
    handles_vault_id: str
    plan_hash: str
    items: tuple[PlannedItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSections:
    """Ask a source what is left after treatment."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    source: str
    handles_vault_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyKeys:
    """Destroy keys and vault rows; after the barrier nobody can read what they sealed."""

    order_id: str
    request_id: str
    subject_ref: str
    tenant_ref: str
    fence: int
    scope: KeyScope


Order = (
    CollectSections
    | SealBundle
    | RemoveBundle
    | SendNotice
    | PlanSections
    | TreatSections
    | ProbeSections
    | DestroyKeys
)
SourceOrder = CollectSections | PlanSections | TreatSections | ProbeSections


def answers_one_of(owed: Iterable[Order], report: Report) -> bool:
    """Whether a report is about a pending order, and about that order's own source."""
    order = next((o for o in owed if o.order_id == report.order_id), None)
    if order is None:
        return False
    # The bundler names the source whose fragments are gone; its order is about none.
    if isinstance(report, ReportExtentsGone):
        sealed = order.extents if isinstance(order, SealBundle) else ()
        return report.source in {extent.source for extent in sealed}
    return getattr(order, "source", None) == getattr(report, "source", None)

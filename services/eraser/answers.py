"""What a source said, as reports: counts in buckets, and nothing about anybody."""

from rights import orders
from rights.reports import (
    PlannedItem,
    ProbedSection,
    ReportSectionsPlanned,
    ReportSectionsProbed,
    ReportSectionsTreated,
    TreatedSection,
    bucket,
)
from sources import contract


def planned_items(items: tuple[contract.PlannedItem, ...]) -> tuple[PlannedItem, ...]:
    """What is approved of a plan: class, treatment, basis, end and scrubbed columns; no counts."""
    return tuple(
        PlannedItem(
            section=item.section,
            item_class=item.item_class,
            treatment=item.treatment,
            basis=item.basis or "",
            keep_rule=_keep_rule(item),
        )
        for item in items
    )


def _keep_rule(item: contract.PlannedItem) -> str:
    scrubbed = f"scrubbed: {', '.join(item.scrub)}" if item.scrub else ""
    return "; ".join(part for part in (item.keep_until or "", scrubbed) if part)


def planned(
    order: orders.PlanSections,
    described: contract.SourceDescription,
    items: tuple[contract.PlannedItem, ...],
) -> ReportSectionsPlanned:
    return ReportSectionsPlanned(
        request_id=order.request_id,
        order_id=order.order_id,
        source=order.source,
        declaration_hash=described.declaration_hash,
        items=planned_items(items),
    )


def treated(
    order: orders.TreatSections, done: tuple[contract.SectionTreated, ...]
) -> ReportSectionsTreated:
    return ReportSectionsTreated(
        request_id=order.request_id,
        order_id=order.order_id,
        source=order.source,
        results=tuple(
            TreatedSection(
                section=section.section,
                deleted_bucket=bucket(section.deleted),
                anonymised_bucket=bucket(section.anonymised),
                retained_bucket=bucket(section.retained),
            )
            for section in done
        ),
    )


def probed(order: orders.ProbeSections, probe: contract.Probe) -> ReportSectionsProbed:
    return ReportSectionsProbed(
        request_id=order.request_id,
        order_id=order.order_id,
        source=order.source,
        watermark=probe.watermark,
        results=tuple(
            ProbedSection(
                section=section.section,
                left_bucket=bucket(section.left),
                retained_bucket=bucket(section.retained),
            )
            for section in probe.sections
        ),
    )

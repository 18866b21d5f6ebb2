"""The plan of an erasure: classes of items, their treatments, and the hash that was approved.

Counts are preview only: new rows of an approved class do not make a plan stale.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from rights.reports import PlannedItem


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    declaration_hash: str
    items: tuple[PlannedItem, ...]


def plan_hash(plans: Mapping[str, SourcePlan]) -> str:
    """SHA-256 over source, declaration, section, class, treatment, basis and end of every item."""
    lines = [f"{source}\0{plan.declaration_hash}" for source, plan in plans.items()]
    for source, plan in plans.items():
        for i in plan.items:
            fields = [source, i.section, i.item_class, i.treatment, i.basis, i.keep_rule]
            lines.append("\0".join(fields))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def is_covered(fresh: SourcePlan, approved: SourcePlan) -> bool:
    """Whether everything a source would do now was approved: stale iff a class or rule is new."""
    return set(fresh.items) <= set(approved.items)

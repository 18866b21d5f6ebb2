"""Names that are made, not drawn: references, order ids and tenant references.

Makes no random ones: those come in as values.
"""

import hashlib
from datetime import datetime

from rights.decisions import STRIDE


def number_for(counter: int, partition: int) -> int:
    """A request number unique in its tenant without coordination between partitions."""
    return counter * STRIDE + partition


def export_reference(number: int, filed_at: datetime) -> str:
    return f"EXP-{filed_at.year}-{number:05}"


def erasure_reference(number: int, filed_at: datetime) -> str:
    return f"ERA-{filed_at.year}-{number:05}"


def derived_id(kind: str, *parts: str) -> str:
    """32 hexadecimal digits that the same parts always give."""
    text = "\0".join(("habeas/id/v1", kind, *parts))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def tenant_ref(tenant: str) -> str:
    """The key of a tenant's own matters; tenants are organisations, not people."""
    return derived_id("tenant", tenant)

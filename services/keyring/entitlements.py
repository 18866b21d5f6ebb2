"""What may be opened for which order, and by whom. This table is the whole of it.

Pure: it knows orders and requests, and neither a key nor a clock.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, assert_never

from logbook.sealing import ARCHIVE_KEY
from plumbing.vault import Permit
from rights.export.state import Export
from rights.orders import (
    CollectSections,
    DestroyKeys,
    Order,
    PlanSections,
    ProbeSections,
    RemoveBundle,
    SealBundle,
    SendNotice,
    TreatSections,
)

OPENS: Final[Mapping[type, frozenset[str]]] = MappingProxyType(
    {
        CollectSections: frozenset({"collectors"}),
        SealBundle: frozenset({"bundler"}),
        SendNotice: frozenset({"notifier"}),
        PlanSections: frozenset({"eraser"}),
        TreatSections: frozenset({"eraser"}),
        ProbeSections: frozenset({"eraser"}),
        # What removes or destroys needs to read nothing.
        RemoveBundle: frozenset(),
        DestroyKeys: frozenset(),
    }
)
OPENS_GRANTS: Final = frozenset({"request_api"})


def permit_for_order(order: Order) -> Permit:
    """What the pending order entitles its worker to."""
    fields: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    match order:
        case CollectSections():
            fields, makes = (order.handles_vault_id,), (order.source,)
        case SealBundle():
            fields, makes = (order.handles_vault_id,), (ARCHIVE_KEY,)
            needs = tuple(extent.source for extent in order.extents)
        case SendNotice():
            fields = (order.comms_vault_id,)
        case PlanSections() | TreatSections() | ProbeSections():
            fields = (order.handles_vault_id,)
        case RemoveBundle() | DestroyKeys():
            pass
        case _:
            assert_never(order)
    return Permit(
        services=OPENS[type(order)],
        subject_ref=order.subject_ref,
        tenant_ref=order.tenant_ref,
        request_id=order.request_id,
        fields=tuple(filter(None, fields)),
        makes=makes,
        needs=needs,
        stores=isinstance(order, SealBundle),
    )


def permit_for_grant(export: Export, subject_ref: str, tenant_ref: str) -> Permit:
    """What a download that was granted, and whose time is not over, entitles to."""
    return Permit(
        services=OPENS_GRANTS,
        subject_ref=subject_ref,
        tenant_ref=tenant_ref,
        request_id=export.request_id,
        fields=tuple(filter(None, (export.contents_vault_id,))),
        needs=(ARCHIVE_KEY,),
    )

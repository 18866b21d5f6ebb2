"""The beginnings that many tests share: an export or an erasure brought to a certain point."""

from __future__ import annotations

from collections.abc import Mapping

from rights.commands import ConfirmErasure, SubmitErasure, SubmitExport
from rights.erasure.state import Erasure
from rights.lifecycle import Phase
from rights.orders import (
    CollectSections,
    DestroyKeys,
    PlanSections,
    ProbeSections,
    SealBundle,
    SendNotice,
    TreatSections,
)
from rights.reports import (
    Extent,
    OffsetRun,
    PlannedItem,
    ProbedSection,
    ReportBundleSealed,
    ReportCollectionStarted,
    ReportKeysDestroyed,
    ReportNoticeSent,
    ReportSectionsCollected,
    ReportSectionsPlanned,
    ReportSectionsProbed,
    ReportSectionsTreated,
    TreatedSection,
)
from tests.support.spec import ADMIN, Conversation, attest

SUBMIT_EXPORT = SubmitExport(handles_vault_id="v1", comms_vault_id="v2")
SUBMIT_ERASURE = SubmitErasure(handles_vault_id="v1", comms_vault_id="v2", reason_vault_id="v3")
TYPED = attest(sole_administrator="false", typed_email_matches="true")


def extent(talk: Conversation, run_id: str = "r1") -> Extent:
    return Extent(
        run_id=run_id,
        partition=0,
        runs=(OffsetRun(first=3, last=5),),
        chunks=3,
        ciphertext_sha256=b"\2" * 32,
        watermark="77",
        collected_at=talk.now,
    )


def collected(talk: Conversation, *sources: str) -> Conversation:
    for source in sources or ("billing", "journal"):
        order = talk.order(CollectSections, source)
        ids = {"request_id": order.request_id, "order_id": order.order_id, "source": source}
        talk = talk.reported(ReportCollectionStarted(run_id="r1", **ids))
        talk = talk.reported(ReportSectionsCollected(extent=extent(talk), **ids))
    return talk


def sealed(talk: Conversation, *, has_records: bool = True) -> Conversation:
    order = talk.order(SealBundle)
    return talk.reported(
        ReportBundleSealed(
            request_id=order.request_id,
            order_id=order.order_id,
            object_key=f"exports/{order.request_id}/{order.order_id}",
            ciphertext_sha256=b"\3" * 32,
            size_bucket=4096,
            contents_vault_id="v9",
            has_records=has_records,
        )
    )


def ready_export(talk: Conversation | None = None) -> Conversation:
    return sealed(collected((talk or Conversation()).when(SUBMIT_EXPORT)))


PLANS = {
    "journal": (PlannedItem(section="entries", item_class="journal", treatment="delete"),),
    "billing": (
        PlannedItem(
            section="invoices",
            item_class="invoice",
            treatment="retain",
            basis="tax law",
            keep_rule="tax-law-7y",
        ),
    ),
}


def planned(
    talk: Conversation, plans: Mapping[str, tuple[PlannedItem, ...]] = PLANS
) -> Conversation:
    """Every pending plan or recheck order is answered."""
    for source, items in plans.items():
        order = talk.order(PlanSections, source)
        talk = talk.reported(
            ReportSectionsPlanned(
                request_id=order.request_id,
                order_id=order.order_id,
                source=source,
                declaration_hash="d1",
                items=items,
            )
        )
    return talk


def filed_by_admin(talk: Conversation | None = None) -> Conversation:
    return planned((talk or Conversation()).when(SUBMIT_ERASURE, ADMIN, command_id="e" * 32))


def confirmed(talk: Conversation, *, skip_ground: str | None = None) -> Conversation:
    erasure = talk.subject.erasures[-1]
    return talk.when(
        ConfirmErasure(
            request_id=erasure.request_id,
            plan_hash=erasure.plan_hash,
            reason_vault_id="v4",
            skip_grace=skip_ground is not None,
            skip_ground=skip_ground,
        ),
        ADMIN,
        attested=TYPED,
        command_id="f" * 32,
    )


def past_no_return(talk: Conversation | None = None) -> Conversation:
    return planned(confirmed(filed_by_admin(talk), skip_ground="COURT_ORDER"))


def treated(talk: Conversation) -> Conversation:
    for source in ("billing", "journal"):
        order = talk.order(TreatSections, source)
        talk = talk.reported(
            ReportSectionsTreated(
                request_id=order.request_id,
                order_id=order.order_id,
                source=source,
                results=(TreatedSection(section="entries", deleted_bucket=4),),
            )
        )
    return talk


def probed(talk: Conversation, *, left: int = 0) -> Conversation:
    for source in ("billing", "journal"):
        order = talk.order(ProbeSections, source)
        talk = talk.reported(
            ReportSectionsProbed(
                request_id=order.request_id,
                order_id=order.order_id,
                source=source,
                watermark="99",
                results=(ProbedSection(section="entries", left_bucket=left),),
            )
        )
        if left:
            return talk
    return talk


def keys_destroyed(talk: Conversation) -> Conversation:
    order = talk.order(DestroyKeys)
    return talk.reported(
        ReportKeysDestroyed(
            request_id=order.request_id, order_id=order.order_id, fingerprints=("k1",)
        )
    )


def notified(talk: Conversation) -> Conversation:
    order = talk.order(SendNotice)
    return talk.reported(ReportNoticeSent(request_id=order.request_id, order_id=order.order_id))


def erased(talk: Conversation | None = None) -> Conversation:
    done = keys_destroyed(probed(treated(past_no_return(talk))))
    assert done.subject.erasures[-1].phase is Phase.NOTIFY
    return keys_destroyed(notified(done))


def erasure(talk: Conversation) -> Erasure:
    return talk.subject.erasures[-1]

"""Workers as the log sees them: their reports, and the sealed archive that a bundler leaves."""

from __future__ import annotations

import hashlib
from typing import Any

from logbook.sealing import archive_context
from plumbing.objects import MemoryObjects
from plumbing.vault import Field
from proofs import envelope
from rights.orders import CollectSections, PlanSections, SealBundle
from rights.reports import (
    Extent,
    OffsetRun,
    PlannedItem,
    ReportBundleSealed,
    ReportCollectionStarted,
    ReportSectionsCollected,
    ReportSectionsPlanned,
)
from tests.services.request_api.installation import Installation
from tests.support.waiting import until

FILE_NAME = "export-of-mine.zip"


def collect_export(installation: Installation, request_id: str) -> None:
    """Every source's collector succeeds."""
    orders = until(lambda: installation.owed(request_id, CollectSections), 30)
    for order in orders:
        to = {"request_id": request_id, "order_id": order.order_id, "source": order.source}
        installation.keyring.client("collectors").open(order_id=order.order_id, at=(0, 0))
        started = ReportCollectionStarted(**to, run_id=f"run-{order.source}")
        installation.reporter("collectors").send(installation.producer, order, started)
        extent = Extent(
            run_id=f"run-{order.source}",
            partition=0,
            runs=(OffsetRun(first=3, last=5),),
            chunks=3,
            ciphertext_sha256=b"\2" * 32,
            watermark="41",
            collected_at=installation.clock.now(),
            sections=("entries",),
        )
        installation.report("collectors", order, ReportSectionsCollected(**to, extent=extent))


def seal_export(
    installation: Installation,
    subject_ref: str,
    request_id: str,
    *,
    archive: bytes = b"PK an archive",
    store: MemoryObjects | None = None,
) -> str:
    """The export is collected, if it was not yet, and sealed; the archive's key in the store."""
    if installation.request(subject_ref, request_id).phase != "SEAL":
        collect_export(installation, request_id)
    (order,) = until(lambda: installation.owed(request_id, SealBundle), 30)
    vault = installation.keyring.client("bundler")
    opened = vault.open(order_id=order.order_id, at=(0, 0))
    key = opened.keys["archive"]
    context = archive_context(
        tenant_ref=order.tenant_ref,
        subject_ref=subject_ref,
        request_id=request_id,
        order_id=order.order_id,
    )
    sealed = envelope.seal(key.key, key.key_id, archive, context)
    object_key = f"exports/{request_id}/{order.order_id}"
    if store is not None:
        upload = store.start(object_key, {})
        upload.part(sealed)
        upload.complete()
    contents = _contents(archive, object_key)
    vault_ids = vault.put_for(
        subject_ref,
        request_id,
        {"contents": Field("content", contents)},
        order.order_id,
        order_id=order.order_id,
    )
    report = ReportBundleSealed(
        request_id=request_id,
        order_id=order.order_id,
        object_key=object_key,
        ciphertext_sha256=hashlib.sha256(sealed).digest(),
        size_bucket=4096,
        contents_vault_id=vault_ids["contents"],
        has_records=True,
    )
    installation.report("bundler", order, report)
    return object_key


def _contents(archive: bytes, object_key: str) -> dict[str, Any]:
    return {
        "reference": "EXP-2026-00065",
        "file_name": FILE_NAME,
        "media_type": "application/zip",
        "bytes": len(archive),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "object_key": object_key,
    }


def plan_erasure(installation: Installation, request_id: str, **facts: str) -> None:
    """Every source says what it would do."""
    for order in until(lambda: installation.owed(request_id, PlanSections), 30):
        item = PlannedItem(
            section=f"{order.source}_rows", item_class=order.source, treatment="delete"
        )
        report = ReportSectionsPlanned(
            request_id=request_id,
            order_id=order.order_id,
            source=order.source,
            declaration_hash="d1",
            items=(item,),
        )
        installation.report("eraser", order, report, **facts)

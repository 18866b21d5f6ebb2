"""Orders and timers of an export: pure functions of its state."""

from collections.abc import Iterator

from rights.export.state import Export
from rights.lifecycle import Phase, State
from rights.orders import (
    CollectSections,
    DestroyKeys,
    KeyScope,
    Order,
    RemoveBundle,
    SealBundle,
    SendNotice,
    SourceExtent,
    Template,
)
from rights.references import derived_id
from rights.timers import EXTENT_USABLE, NOTICE_PATIENCE, Timer, TimerName


def pending_orders(export: Export, subject_ref: str, tenant_ref: str) -> Iterator[Order]:
    if export.state in (State.PENDING, State.IN_PROGRESS):
        yield from _collect(export, subject_ref, tenant_ref)
        if export.phase is Phase.SEAL:
            yield _seal(export, subject_ref, tenant_ref)
    if _owes_notice(export):
        yield SendNotice(
            order_id=derived_id("notice", export.request_id, Template.EXPORT_READY),
            request_id=export.request_id,
            subject_ref=subject_ref,
            tenant_ref=tenant_ref,
            fence=1,
            template=Template.EXPORT_READY,
            reference=export.reference,
            language=export.language,
            comms_vault_id=export.comms_vault_id or "",
            until=export.expires_at,
        )
    yield from _clean(export, subject_ref, tenant_ref)


def _collect(export: Export, subject_ref: str, tenant_ref: str) -> Iterator[Order]:
    for source, run in sorted(export.sources.items()):
        if run.extent is None:
            yield CollectSections(
                order_id=derived_id("collect", export.request_id, source, str(run.attempt)),
                request_id=export.request_id,
                subject_ref=subject_ref,
                tenant_ref=tenant_ref,
                fence=run.attempt,
                source=source,
                sections=export.sections,
                handles_vault_id=export.handles_vault_id,
            )


def _seal(export: Export, subject_ref: str, tenant_ref: str) -> SealBundle:
    return SealBundle(
        order_id=derived_id("seal", export.request_id, str(export.seal_attempt)),
        request_id=export.request_id,
        subject_ref=subject_ref,
        tenant_ref=tenant_ref,
        fence=export.seal_attempt,
        reference=export.reference,
        filed_at=export.filed_at,
        filed_by=export.filed_by,
        profile=export.policy.profile,
        policy_version=export.policy.version,
        package_format=export.policy.package_format,
        language=export.language,
        handles_vault_id=export.handles_vault_id,
        extents=tuple(
            SourceExtent(source=source, extent=run.extent)
            for source, run in sorted(export.sources.items())
            if run.extent
        ),
    )


def _owes_notice(export: Export) -> bool:
    is_sealed = export.object_key is not None and export.state in (
        State.IN_PROGRESS,
        State.COMPLETED,
    )
    return bool(is_sealed and export.comms_vault_id and not export.notice and not export.is_expired)


def _clean(export: Export, subject_ref: str, tenant_ref: str) -> Iterator[Order]:
    """What an ended export leaves behind goes: first the archive, then keys and vault rows."""
    is_over = export.state in (State.FAILED, State.CANCELLED) or export.is_expired
    if not is_over:
        return
    if export.was_begun and not export.is_removed:
        yield RemoveBundle(
            order_id=derived_id("remove", export.request_id),
            request_id=export.request_id,
            subject_ref=subject_ref,
            tenant_ref=tenant_ref,
            fence=export.seal_attempt,
        )
    elif not export.keys_destroyed:
        yield DestroyKeys(
            order_id=derived_id("keys", export.request_id, KeyScope.REQUEST),
            request_id=export.request_id,
            subject_ref=subject_ref,
            tenant_ref=tenant_ref,
            fence=1,
            scope=KeyScope.REQUEST,
        )


def timers(export: Export) -> Iterator[Timer]:
    request_id = export.request_id
    if export.has_live_archive and export.expires_at:
        yield Timer(request_id=request_id, name=TimerName.BUNDLE_EXPIRY, due_at=export.expires_at)
    if _owes_notice(export):
        yield Timer(
            request_id=request_id,
            name=TimerName.NOTICE_GIVE_UP,
            due_at=export.moved_at + NOTICE_PATIENCE,
        )
    if export.state not in (State.PENDING, State.IN_PROGRESS):
        return
    waits = [run.waiting_since for run in export.sources.values() if run.waiting_since]
    if waits:
        due_at = min(waits) + export.policy.wait_max
        yield Timer(request_id=request_id, name=TimerName.WAIT_MAX, due_at=due_at)
    extents = [run.extent for run in export.sources.values() if run.extent]
    if extents and export.object_key is None:
        due_at = min(extent.collected_at for extent in extents) + EXTENT_USABLE
        yield Timer(request_id=request_id, name=TimerName.EXTENTS_STALE, due_at=due_at)
    yield Timer(
        request_id=request_id, name=TimerName.STALLED, due_at=export.moved_at + EXTENT_USABLE
    )

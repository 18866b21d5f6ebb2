"""What may follow a wish, a timer or a report about an export."""

from datetime import datetime

from rights import commands as cmd
from rights import events as ev
from rights import reports as rp
from rights.decisions import Accepted, Answer, Ignored, Rejected
from rights.export.owing import pending_orders, timers
from rights.export.state import Export
from rights.lifecycle import Outcome, State
from rights.orders import answers_one_of
from rights.policies import Policy, Role, StaleRun
from rights.references import export_reference
from rights.timers import EXTENT_USABLE, TimerName, is_due, one_month_after

MUST_GIVE_REASON = frozenset({Role.COACH, Role.ADMIN, Role.PRIVACY_OFFICER, Role.SERVICE})
MAY_APPROVE = frozenset({Role.ADMIN, Role.PRIVACY_OFFICER})


def submit(
    command: cmd.SubmitExport,
    exports: tuple[Export, ...],
    *,
    now: datetime,
    policy: Policy,
    asked: cmd.Asked,
) -> Answer:
    """Order of checks as the profiles ask: may they, is one open, is one live."""
    actor = asked.actor
    if actor.role not in policy.export_roles:
        return Rejected("FORBIDDEN")
    if actor.role in MUST_GIVE_REASON and command.reason_vault_id is None:
        return Rejected("REASON_REQUIRED")
    if any(export.is_open for export in exports):
        return Rejected("CONFLICT_GDPR_EXPORT")
    if policy.dedupe_live_artifact and any(export.has_live_archive for export in exports):
        return Rejected("CONFLICT_GDPR_EXPORT")
    if not policy.sources:
        return Rejected("NO_SOURCES")
    return Accepted(
        (
            ev.ExportSubmitted(
                request_id=asked.command_id,
                reference=export_reference(asked.number, now),
                number=asked.number,
                filed_by=actor.role,
                filer_ref=actor.ref,
                needs_approval=actor.role in policy.approval_required_for,
                sections=command.sections,
                handles_vault_id=command.handles_vault_id,
                comms_vault_id=command.comms_vault_id,
                reason_vault_id=command.reason_vault_id,
                language=command.language,
                policy=policy,
                policy_reference=asked.policy_reference,
                deadline_at=one_month_after(now),
            ),
        )
    )


def approve(export: Export, asked: cmd.Asked) -> Answer:
    if asked.actor.role not in MAY_APPROVE:
        return Rejected("FORBIDDEN")
    if export.state is not State.AWAITING_CONFIRMATION:
        return Rejected("VERSION_CONFLICT")
    # E0-17: nobody approves what they proposed themselves.
    if asked.actor.ref == export.filer_ref:
        return Rejected("FORBIDDEN")
    return Accepted(
        (ev.ExportApproved(request_id=export.request_id, approver_ref=asked.actor.ref),)
    )


def cancel(export: Export, asked: cmd.Asked) -> Answer:
    if asked.actor.role not in (*MAY_APPROVE, Role.SUBJECT):
        return Rejected("FORBIDDEN")
    if export.state is State.CANCELLED:
        return Accepted()  # Cancelling twice is no error: the wish is already met.
    if not export.is_open or export.object_key:
        return Rejected("TOO_LATE")
    return Accepted(
        (
            ev.RequestCancelled(
                request_id=export.request_id,
                actor_role=asked.actor.role,
                actor_ref=asked.actor.ref,
            ),
        )
    )


def grant_download(
    command: cmd.GrantDownload, export: Export, *, now: datetime, asked: cmd.Asked
) -> Answer:
    if asked.actor.role not in export.policy.download_roles:
        return Rejected("FORBIDDEN")
    if export.state is not State.COMPLETED or export.expires_at is None:
        return Rejected("NOT_READY")
    # Expiry is checked at read: a sweep that is late must not prolong a link.
    if export.is_expired or now >= export.expires_at:
        return Rejected("GONE_GDPR_EXPORT")
    return Accepted(
        (
            ev.DownloadGranted(
                request_id=export.request_id,
                grant_id=asked.command_id,
                actor_role=asked.actor.role,
                actor_ref=asked.actor.ref,
                token_sha256=command.token_sha256,
                until=min(now + export.policy.download_url_ttl, export.expires_at),
            ),
        )
    )


def report(report: rp.Report, export: Export, *, now: datetime, asked: cmd.Asked) -> Answer:
    """Believes a report only while its order is pending; everything else is stale."""
    if not answers_one_of(pending_orders(export, asked.subject_ref, asked.tenant_ref), report):
        return Ignored()
    request_id = export.request_id
    match report:
        case rp.ReportCollectionStarted() | rp.ReportSectionsCollected():
            return _collected(report, export)
        case rp.ReportSourceUnavailable(source=source, code=code):
            if export.sources[source].waiting_code == code:
                return Ignored()
            return Accepted(
                (ev.SourceBecameUnavailable(request_id=request_id, source=source, code=code),)
            )
        case rp.ReportSourceRefused(source=source, code=code):
            return Accepted((ev.RequestFailed(request_id=request_id, code=code, source=source),))
        case rp.ReportExtentsGone(source=source):
            return Accepted((ev.SectionsLost(request_id=request_id, source=source),))
        case rp.ReportBundleFailed(code=code):
            return Accepted((ev.RequestFailed(request_id=request_id, code=code),))
        case rp.ReportBundleRemoved():
            return Accepted((ev.BundleRemoved(request_id=request_id),))
        case rp.ReportKeysDestroyed(fingerprints=fingerprints):
            return Accepted(
                (
                    ev.SubjectKeysDestroyed(
                        request_id=request_id, scope="REQUEST", fingerprints=fingerprints
                    ),
                )
            )
        case rp.ReportBundleSealed() | rp.ReportNoticeSent() | rp.ReportNoticeFailed():
            return Accepted(_finished(report, export, now))
        case _:
            return Ignored()


def _collected(
    report: rp.ReportCollectionStarted | rp.ReportSectionsCollected, export: Export
) -> Answer:
    known = export.sources[report.source]
    match report:
        case rp.ReportCollectionStarted(run_id=run_id) if known.run_id == run_id:
            return Ignored()
        case rp.ReportCollectionStarted() if (
            known.run_id and export.policy.stale_run is StaleRun.FAIL
        ):
            # E4-33: a run that a restart cut off fails; the person may ask again.
            failed = ev.RequestFailed(
                request_id=export.request_id, code="STALE_RUN", source=report.source
            )
            return Accepted((failed,))
        case rp.ReportCollectionStarted(source=source, run_id=run_id):
            return Accepted(
                (ev.CollectionStarted(request_id=export.request_id, source=source, run_id=run_id),)
            )
        case rp.ReportSectionsCollected(source=source, extent=extent):
            return Accepted(
                (ev.SectionsCollected(request_id=export.request_id, source=source, extent=extent),)
            )


def _finished(
    report: rp.ReportBundleSealed | rp.ReportNoticeSent | rp.ReportNoticeFailed,
    export: Export,
    now: datetime,
) -> tuple[ev.Event, ...]:
    request_id = export.request_id
    waits_for_notice = export.policy.notify_ready_required and bool(export.comms_vault_id)
    match report:
        case rp.ReportBundleSealed():
            outcome = Outcome.FULL if report.has_records else Outcome.NO_DATA
            sealed = ev.BundleSealed(
                request_id=request_id,
                object_key=report.object_key,
                ciphertext_sha256=report.ciphertext_sha256,
                size_bucket=report.size_bucket,
                contents_vault_id=report.contents_vault_id,
                outcome=outcome,
                expires_at=now + export.policy.artifact_ttl,
            )
            if waits_for_notice:
                return (sealed,)
            return (sealed, ev.RequestCompleted(request_id=request_id, outcome=outcome))
        case rp.ReportNoticeSent():
            sent = ev.NoticeSent(request_id=request_id, template="EXPORT_READY")
            if not waits_for_notice:
                return (sent,)
            outcome = export.outcome or Outcome.FULL
            return (sent, ev.RequestCompleted(request_id=request_id, outcome=outcome))
        case rp.ReportNoticeFailed(code=code):
            return _notice_given_up(export, code)


def _notice_given_up(export: Export, code: str) -> tuple[ev.Event, ...]:
    request_id = export.request_id
    failed = ev.NoticeFailed(request_id=request_id, template="EXPORT_READY", code=code)
    if not export.is_open:
        return (failed,)
    # E4-T09: where the letter is part of being ready, no letter means no archive.
    return (failed, ev.RequestFailed(request_id=request_id, code="EMAIL_DELIVERY_FAILED"))


def fire(command: cmd.FireTimer, export: Export, *, now: datetime, asked: cmd.Asked) -> Answer:
    timer = next((t for t in timers(export) if t.name == command.timer), None)
    if timer is None or not is_due(timer, now=now, observed_at=asked.observed_at):
        return Ignored()
    request_id = export.request_id
    match timer.name:
        case TimerName.BUNDLE_EXPIRY:
            return Accepted((ev.BundleExpired(request_id=request_id),))
        case TimerName.WAIT_MAX:
            waiting = sorted((s, r) for s, r in export.sources.items() if r.waiting_since)
            source, run = waiting[0]
            return Accepted(
                (ev.RequestFailed(request_id=request_id, code=run.waiting_code, source=source),)
            )
        case TimerName.EXTENTS_STALE:
            return Accepted(
                tuple(
                    ev.SectionsLost(request_id=request_id, source=source)
                    for source, run in sorted(export.sources.items())
                    if run.extent and run.extent.collected_at + EXTENT_USABLE <= now
                )
            )
        case TimerName.NOTICE_GIVE_UP:
            return Accepted(_notice_given_up(export, "GIVEN_UP"))
        case _:
            return Accepted((ev.RequestFailed(request_id=request_id, code="STALLED"),))

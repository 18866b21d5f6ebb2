"""Which refusals can be recomputed, and from what.

A decision does not hold its command's body, so only what the state alone must show is asked: a
conflict needs something to conflict with. A code that is not listed here is not judged.
"""

from collections.abc import Callable
from typing import Final

from rights.commands import attested_value
from rights.decisions import Decision
from rights.export.state import Export
from rights.lifecycle import State
from rights.subject import Subject

Ground = Callable[[Subject, Decision], bool]


def _has_export_in_the_way(subject: Subject, _: Decision) -> bool:
    return any(
        export.is_open or (export.policy.dedupe_live_artifact and export.has_live_archive)
        for export in subject.exports
    )


def _has_erasure_in_the_way(subject: Subject, decision: Decision) -> bool:
    may_wait = decision.command.type == "SubmitExport"
    return any(e.is_open and (e.is_irreversible or not may_wait) for e in subject.erasures)


def _has_plan_outstanding(subject: Subject, _: Decision) -> bool:
    return any(e.state is State.AWAITING_CONFIRMATION and not e.plan_hash for e in subject.erasures)


def _has_expired_archive(subject: Subject, decision: Decision) -> bool:
    return any(
        export.is_expired or (export.expires_at and export.expires_at <= decision.decided_at)
        for export in subject.exports
    )


def _has_unfinished_export(subject: Subject, _: Decision) -> bool:
    return any(export.state is not State.COMPLETED for export in subject.exports)


def _is_too_late_for_one(subject: Subject, _: Decision) -> bool:
    waiting = (State.AWAITING_CONFIRMATION, State.AWAITING_GRACE)
    return any(
        (not request.is_open or request.object_key is not None)
        if isinstance(request, Export)
        else request.state not in waiting
        for request in subject.requests.values()
    )


def _is_anonymous(_: Subject, decision: Decision) -> bool:
    return decision.subject_ref is None or decision.tenant_ref is None


GROUNDS: Final[dict[str, Ground]] = {
    "CONFLICT_GDPR_EXPORT": _has_export_in_the_way,
    "CONFLICT_ERASURE": _has_erasure_in_the_way,
    "PLAN_NOT_READY": _has_plan_outstanding,
    "GONE_GDPR_EXPORT": _has_expired_archive,
    "NOT_READY": _has_unfinished_export,
    "TOO_LATE": _is_too_late_for_one,
    "SUBJECT_ON_HOLD": lambda subject, _: subject.is_held,
    "SUBJECT_MISSING": _is_anonymous,
    "POLICY_MISSING": lambda _, decision: decision.policy is None,
    "EMAIL_MISMATCH": lambda _, decision: (
        attested_value(decision.attested, "typed_email_matches") != "true"
    ),
}


def is_founded(subject: Subject, decision: Decision) -> bool:
    ground = GROUNDS.get(decision.code)
    return ground is None or ground(subject, decision)

"""What states, events and refusals are called to people.

It knows the words only; whether something is allowed is asked of the request API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from plumbing.web import Problem
from services.dashboard.api import Asked, Happened

RUNNING: Final = frozenset({"PENDING", "IN_PROGRESS"})
_WAITING: Final = frozenset({"AWAITING_CONFIRMATION", "AWAITING_GRACE"})
TYPES: Final = {"export": "Copy of your data", "erasure": "Deletion of your data"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a request stands: words, the tag's colour, and an instant that belongs to the words."""

    words: str
    tone: str
    until: datetime | None = None


def standing(asked: Asked, now: datetime) -> Standing:
    match asked.state:
        case "AWAITING_CONFIRMATION":
            return Standing(words="Waiting for approval", tone="yellow")
        case "AWAITING_GRACE":
            return Standing(
                words="Scheduled for deletion on", tone="orange", until=asked.grace_ends_at
            )
        case "PENDING":
            return Standing(words="Requested", tone="grey")
        case "IN_PROGRESS" if asked.type == "export":
            return Standing(words="Being prepared", tone="blue")
        case "IN_PROGRESS":
            return Standing(words="Being deleted", tone="blue")
        case "COMPLETED" if asked.type == "erasure":
            return Standing(words="Deleted", tone="green")
        case "COMPLETED" if is_ready(asked, now):
            return Standing(words="Ready until", tone="green", until=asked.expires_at)
        case "COMPLETED":
            return Standing(words="Expired", tone="grey")
        case "FAILED":
            return Standing(words="Could not be completed", tone="red")
        case "CANCELLED" | "REJECTED":
            return Standing(words="Cancelled", tone="grey")
        case _:
            return Standing(words="Waiting for somebody to look at it", tone="orange")


def is_ready(asked: Asked, now: datetime) -> bool:
    """Whether there is a file to download."""
    is_there = asked.type == "export" and asked.state == "COMPLETED" and not asked.is_removed
    return is_there and (asked.expires_at is None or now < asked.expires_at)


def is_running(asked: Asked) -> bool:
    return asked.state in RUNNING


def is_cancellable(asked: Asked) -> bool:
    """Whether taking it back is worth offering; the request API decides."""
    if asked.type == "erasure":
        return asked.state in _WAITING
    return asked.state in _WAITING | RUNNING and asked.phase != "NOTIFY"


_BUSY: Final = {
    "COLLECT": "your data is being collected",
    "SEAL": "your file is being put together",
    "NOTIFY": "you are being told",
    "CHECK": "everything is checked once more",
    "TREAT": "your data is being deleted",
    "PROBE": "we look whether anything is left",
    "DESTROY_KEYS": "keys are being destroyed",
    "FORGET": "what we kept to do this is being forgotten",
}
_EXPORT_ENDED: Final = {
    "NO_DATA": "We found no data about you. The file says where we looked.",
    "PARTIAL": "Some of your data could not be collected. The file says which.",
}


def progress(asked: Asked, now: datetime) -> str:
    """Where it stands and what happens next, in a sentence or two."""
    if is_running(asked):
        busy = _BUSY.get(asked.phase, "it is about to begin")
        waiting = (
            f" We are waiting for {asked.waiting_for.partition(':')[0]}."
            if asked.waiting_for
            else ""
        )
        return f"{asked.percent} % done, {busy}.{waiting}"
    match asked.state:
        case "AWAITING_CONFIRMATION":
            return "Somebody in your workspace has to approve it first."
        case "AWAITING_GRACE":
            return "Nothing is touched until then, and you can cancel it until then."
        case "FAILED":
            return "It could not be completed. Please try again later."
        case "COMPLETED" if is_ready(asked, now):
            return _EXPORT_ENDED.get(asked.outcome or "", "Your file is ready.")
        case "COMPLETED" if asked.type == "export":
            return "The file was removed, as announced. You can ask for a new one."
        case "COMPLETED":
            return "Your data was deleted. What the law obliges us to keep is kept for that only."
        case "CANCELLED" | "REJECTED":
            return "It was cancelled, and nothing more is done."
        case _:
            return "Something unexpected happened, and a person has to look at it."


_WHO: Final = {
    "subject": "by the person",
    "coach": "by a coach",
    "admin": "by an administrator",
    "privacy_officer": "by a privacy officer",
    "system_admin": "by a system administrator",
    "service": "by one of our services",
}


def by_whom(role: str | None) -> str:
    return _WHO.get(role or "", "")


_EVENTS: Final[Mapping[str, str]] = {
    "ExportSubmitted": "A copy of the data was requested",
    "ExportApproved": "The request was approved",
    "CollectionStarted": "Collecting data from {source} began",
    "SectionsCollected": "The data from {source} was collected",
    "SourceBecameUnavailable": "We are waiting for {source}, which did not answer",
    "SectionsLost": "The data from {source} has to be collected again",
    "BundleSealed": "The file was put together, checked and signed",
    "NoticeSent": "A letter was sent",
    "NoticeFailed": "A letter could not be sent",
    "DownloadGranted": "A download was started",
    "BundleExpired": "The time to download the file is over",
    "BundleRemoved": "The file was removed",
    "ErasureSubmitted": "Deletion was requested",
    "SectionsPlanned": "{source} said what would be deleted and what must be kept",
    "PlanFrozen": "The plan of the deletion is complete",
    "ErasureConfirmed": "The deletion was confirmed",
    "GracePeriodStarted": "Nothing is touched for now: the time to change one's mind began",
    "GracePeriodSkipped": "The time to change one's mind was skipped, for a recorded reason",
    "GracePeriodEnded": "The time to change one's mind is over",
    "PointOfNoReturnPassed": "Everything was checked again; from here on it cannot be undone",
    "StepStarted": "Deleting in {source} began",
    "SectionsTreated": "{source} did as planned",
    "SectionsProbed": "We asked {source} again, and nothing was left that should be gone",
    "ItemHeld": "{source} could not do as planned, and a person has to look at it",
    "SubjectKeysDestroyed": "Keys were destroyed, so what they sealed can no longer be read",
    "RequestCompleted": "The request is complete",
    "RequestFailed": "The request could not be completed",
    "RequestCancelled": "The request was cancelled",
}


def event_words(happened: Happened) -> str:
    sentence = _EVENTS.get(happened.event, "One more step was recorded")
    who = by_whom(happened.actor_role)
    return f"{_with_source(sentence, happened.details)}{f', {who}' if who else ''}."


def _with_source(sentence: str, details: Mapping[str, Any]) -> str:
    source = str(details.get("source") or "a product")
    return sentence.replace("{source}", source)


# Where the API speaks to programs of keys and headers, people are told this.
_TO_PEOPLE: Final = {
    "OUTCOME_UNKNOWN": (
        "The outcome is not known yet; trying again is safe.",
        "Wait a few seconds, then press “Try again”. Nothing is done twice.",
    ),
    "UNAVAILABLE": ("", "Wait a few seconds, then try again. Nothing is done twice."),
    "COMMAND_EXPIRED": (
        "Your request reached us too late to be acted on. Nothing was done.",
        "Go back to your privacy page and ask again.",
    ),
    "IDEMPOTENCY_MISMATCH": (
        "This form was used for something else already. Nothing was done.",
        "Go back to your privacy page and ask again.",
    ),
    "INTERNAL": (
        "Sorry, there is a problem on our side.",
        "Try again in a few minutes. If it happens again, quote the number below to support.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A problem as a page shows it."""

    sentence: str
    next_step: str
    code: str
    occurrence: str


def trouble(problem: Problem) -> Trouble:
    sentence, next_step = _TO_PEOPLE.get(problem.code, ("", ""))
    return Trouble(
        sentence=sentence or problem.message,
        next_step=next_step or problem.next_step or "Go back and try something else.",
        code=problem.code,
        occurrence=str(problem.members.get("occurrence", "")),
    )

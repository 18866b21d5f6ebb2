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
TYPES: Final = {"export": "Data export", "erasure": "Deletion"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a request stands: words, the tag's colour, and an instant that belongs to the words."""

    words: str
    tone: str
    until: datetime | None = None


_STANDING: Final = {
    "AWAITING_CONFIRMATION": Standing(words="Waiting for approval", tone="yellow"),
    "PENDING": Standing(words="Requested", tone="grey"),
    "FAILED": Standing(words="Could not be completed", tone="red"),
    "CANCELLED": Standing(words="Cancelled", tone="grey"),
    "REJECTED": Standing(words="Cancelled", tone="grey"),
}
_STANDING_OF_TYPE: Final = {
    ("export", "IN_PROGRESS"): Standing(words="Being prepared", tone="blue"),
    ("export", "COMPLETED"): Standing(words="Expired", tone="grey"),
    ("erasure", "IN_PROGRESS"): Standing(words="Being deleted", tone="blue"),
    ("erasure", "COMPLETED"): Standing(words="Deleted", tone="green"),
}
_STANDING_OTHERWISE: Final = Standing(words="Waiting for somebody to look at it", tone="orange")


def standing(asked: Asked, now: datetime) -> Standing:
    if is_ready(asked, now):
        return Standing(words="Ready until", tone="green", until=asked.expires_at)
    if asked.state == "AWAITING_GRACE":
        words = "Scheduled for deletion on"
        return Standing(words=words, tone="orange", until=asked.grace_ends_at)
    of_any = _STANDING.get(asked.state, _STANDING_OTHERWISE)
    return _STANDING_OF_TYPE.get((asked.type, asked.state), of_any)


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
    "COLLECT": "data is being collected",
    "SEAL": "the file is being put together",
    "NOTIFY": "a letter is being sent",
    "CHECK": "everything is checked once more",
    "TREAT": "data is being deleted",
    "PROBE": "we look whether anything is left",
    "DESTROY_KEYS": "keys are being destroyed",
    "FORGET": "what we kept to do this is being forgotten",
}
_READY: Final = {
    "NO_DATA": "No data was found. The file says where we looked.",
    "PARTIAL": "Some data could not be collected. The file says which.",
}
_STILL: Final = {
    "AWAITING_CONFIRMATION": "Somebody in your workspace has to approve it first.",
    "AWAITING_GRACE": "Nothing is touched until then, and you can cancel it until then.",
    "FAILED": "It could not be completed. Please try again later.",
    "CANCELLED": "It was cancelled, and nothing more is done.",
    "REJECTED": "It was cancelled, and nothing more is done.",
}
_DONE: Final = {
    "export": "The file was removed, as announced. You can ask for a new one.",
    "erasure": "The data was deleted. What the law obliges us to keep is kept for that only.",
}


def progress(asked: Asked, now: datetime) -> str:
    """Where it stands and what happens next, in a sentence or two."""
    if is_running(asked):
        busy = _BUSY.get(asked.phase, "it is about to begin")
        source = (asked.waiting_for or "").partition(":")[0]
        waiting = f" We are waiting for {source}." if source else ""
        return f"{asked.percent} % done, {busy}.{waiting}"
    if is_ready(asked, now):
        return _READY.get(asked.outcome or "", "The file is ready.")
    if asked.state == "COMPLETED":
        return _DONE[asked.type]
    unexpected = "Something unexpected happened, and a person has to look at it."
    return _STILL.get(asked.state, unexpected)


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

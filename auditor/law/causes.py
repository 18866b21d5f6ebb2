"""Which events may follow from which command: a report may only bring its own facts about.

Says nothing about whether they were due; that is the law's (`law`).
"""

from typing import Final

from rights import events as ev

_FAILED: Final = ("RequestFailed",)
# The person's open exports end with the point of no return.
_ENDED: Final = ("PointOfNoReturnPassed", "RequestFailed", "BundleExpired")
CAUSES: Final[dict[str, tuple[str, ...]]] = {
    "Genesis": ("LogOpened",),
    "Unreadable": ("CommandUnreadable",),
    "PublishPolicy": ("PolicyPublished",),
    "ConfirmClock": ("ClockConfirmed",),
    "DayTick": ("DayTicked",),
    "SubmitExport": ("ExportSubmitted",),
    "SubmitErasure": ("ErasureSubmitted", "GracePeriodStarted"),
    "ApproveExport": ("ExportApproved",),
    "ConfirmErasure": ("ErasureConfirmed", "GracePeriodStarted", "GracePeriodSkipped"),
    "CancelRequest": ("RequestCancelled",),
    "GrantDownload": ("DownloadGranted",),
    "FireTimer": (
        *("BundleExpired", "SectionsLost", "NoticeFailed", "GracePeriodEnded", "ItemHeld"),
        *_FAILED,
    ),
    "ReportCollectionStarted": ("CollectionStarted", *_FAILED),
    "ReportSectionsCollected": ("SectionsCollected",),
    "ReportSourceUnavailable": ("SourceBecameUnavailable",),
    "ReportSourceRefused": ("ItemHeld", *_FAILED),
    "ReportExtentsGone": ("SectionsLost",),
    "ReportBundleSealed": ("BundleSealed", "RequestCompleted"),
    "ReportBundleFailed": _FAILED,
    "ReportBundleRemoved": ("BundleRemoved",),
    "ReportNoticeSent": ("NoticeSent", "RequestCompleted"),
    "ReportNoticeFailed": ("NoticeFailed", *_FAILED),
    "ReportSectionsPlanned": ("SectionsPlanned", "PlanFrozen", *_ENDED),
    "ReportStepStarted": ("StepStarted",),
    "ReportSectionsTreated": ("SectionsTreated",),
    "ReportSectionsProbed": ("SectionsProbed", "ItemHeld"),
    "ReportKeysDestroyed": ("SubjectKeysDestroyed", "RequestCompleted"),
}


def has_cause(command_type: str, event: ev.Event) -> bool:
    """Whether such a command may have such an event; suspicion of the clock may join any."""
    name = type(event).__name__
    return name == "ClockSuspected" or name in CAUSES.get(command_type, ())

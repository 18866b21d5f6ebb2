"""A command as it reached the decider: who sent it, on which channel, at which position.

Rule 1: a command is believed only from the channel of those who may utter it; a report about a
source only from that source's own topic.
"""

from dataclasses import dataclass
from datetime import datetime

from rights import commands as cmd
from rights import reports as rp

Body = cmd.IntakeCommand | cmd.ClockCommand | rp.Report

INTAKE = "intake"
CLOCK = "clock"
FAMILY = "family"
REPORTS_OF = "reports."

_OF_BUNDLER = (
    rp.ReportExtentsGone,
    rp.ReportBundleSealed,
    rp.ReportBundleFailed,
    rp.ReportBundleRemoved,
)
_OF_NOTIFIER = (rp.ReportNoticeSent, rp.ReportNoticeFailed)
_OF_SOURCE = (
    rp.ReportCollectionStarted,
    rp.ReportSectionsCollected,
    rp.ReportSourceUnavailable,
    rp.ReportSourceRefused,
    rp.ReportSectionsPlanned,
    rp.ReportStepStarted,
    rp.ReportSectionsTreated,
    rp.ReportSectionsProbed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A command with its circumstances, as decoded from the wire."""

    id: str
    hash: bytes
    issuer: str
    actor: cmd.Actor
    subject_ref: str | None
    tenant_ref: str | None
    attested: cmd.Attested
    issued_at: datetime
    valid_until: datetime | None
    type: str
    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An envelope at its place in an input topic; `observed_at` is the log-append time."""

    channel: str
    topic: str
    partition: int
    offset: int
    observed_at: datetime
    envelope: Envelope


def is_believed(channel: str, body: Body) -> bool:
    """Whether a body may come by a channel at all."""
    if channel == INTAKE:
        return isinstance(body, cmd.IntakeCommand)
    if channel == CLOCK:
        return isinstance(body, cmd.ClockCommand)
    if channel == REPORTS_OF + "bundler":
        return isinstance(body, _OF_BUNDLER)
    if channel == REPORTS_OF + "notifier":
        return isinstance(body, _OF_NOTIFIER)
    if channel == REPORTS_OF + "keyring":
        return isinstance(body, rp.ReportKeysDestroyed)
    if channel.startswith(REPORTS_OF) and isinstance(body, _OF_SOURCE):
        return body.source == channel.removeprefix(REPORTS_OF)
    return False

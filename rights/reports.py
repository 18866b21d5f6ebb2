"""What workers say they did; each names the order it answers.

A report is believed only from its own topic, and only while its order is pending.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetRun:
    """Consecutive fragments: first and last offset, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where in a source's fragment topic one collection run lies, and what proves it whole."""

    run_id: str
    partition: int
    runs: tuple[OffsetRun, ...]
    chunks: int
    ciphertext_sha256: bytes
    watermark: str
    collected_at: datetime
    sections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItem:
    """What would become of one class of items in one section, and by which law it is kept."""

    section: str
    item_class: str
    treatment: str
    basis: str = ""
    keep_rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatedSection:
    """How many rows of a section were treated how; counts are power-of-two buckets."""

    section: str
    deleted_bucket: int = 0
    anonymised_bucket: int = 0
    retained_bucket: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedSection:
    """What a probe found afterwards; `left` counts rows that should be gone."""

    section: str
    left_bucket: int = 0
    retained_bucket: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCollectionStarted:
    """A collector began a run over a source."""

    request_id: str
    order_id: str
    source: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSectionsCollected:
    """A collector published all fragments of a source's sections."""

    request_id: str
    order_id: str
    source: str
    extent: Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSourceUnavailable:
    """A source does not answer; the worker goes on trying."""

    request_id: str
    order_id: str
    source: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSourceRefused:
    """A source says no and will go on saying no."""

    request_id: str
    order_id: str
    source: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportExtentsGone:
    """The bundler found a source's fragments no longer readable."""

    request_id: str
    order_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBundleSealed:
    """The bundler uploaded, read back and signed an archive; digests are over its ciphertext."""

    request_id: str
    order_id: str
    object_key: str
    ciphertext_sha256: bytes
    size_bucket: int
    contents_vault_id: str
    has_records: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBundleFailed:
    """The bundler could not finish an archive and left nothing behind."""

    request_id: str
    order_id: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBundleRemoved:
    """The bundler removed an archive and every leftover of it."""

    request_id: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNoticeSent:
    """The mailer accepted a notice."""

    request_id: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNoticeFailed:
    """The mailer refused a notice for good."""

    request_id: str
    order_id: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSectionsPlanned:
    """The eraser asked a source what an erasure would do."""

    request_id: str
    order_id: str
    source: str
    declaration_hash: str
    items: tuple[PlannedItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportStepStarted:
    """The eraser is about to make its first call of a destructive step."""

    request_id: str
    order_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSectionsTreated:
    """A source carried out the treatments of the plan."""

    request_id: str
    order_id: str
    source: str
    results: tuple[TreatedSection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSectionsProbed:
    """A source was asked what is left."""

    request_id: str
    order_id: str
    source: str
    watermark: str
    results: tuple[ProbedSection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKeysDestroyed:
    """The keyring destroyed keys and rows, after its barrier; fingerprints name the keys."""

    request_id: str
    order_id: str
    fingerprints: tuple[str, ...]


Report = (
    ReportCollectionStarted
    | ReportSectionsCollected
    | ReportSourceUnavailable
    | ReportSourceRefused
    | ReportExtentsGone
    | ReportBundleSealed
    | ReportBundleFailed
    | ReportBundleRemoved
    | ReportNoticeSent
    | ReportNoticeFailed
    | ReportSectionsPlanned
    | ReportStepStarted
    | ReportSectionsTreated
    | ReportSectionsProbed
    | ReportKeysDestroyed
)


def bucket(count: int) -> int:
    """The smallest power of two not below `count`; 0 stays 0: exact counts tell about people."""
    return 0 if count <= 0 else 1 << (count - 1).bit_length()

"""The contract between the platform and one product team's system: eight verbs, typed and paged.

It says nothing about Kafka, requests or profiles: whoever calls knows why, a source knows how.

Rule 1. Nothing widens a match: a handle that is missing finds fewer rows, never more.
Rule 2. Every verb may be called again; `treat` is idempotent by its step.
Rule 3. Answers are counts and bytes, never prose, so nothing has to be parsed out of text.
Rule 4. Errors carry codes. A row's value, a handle or a connection string is never in one.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

# The keys under which one person is known to one source: `user_id`, `customer_id`, …
Handles = Mapping[str, str]

# The one handle that names no person. A source that declares it is shared by tenants, and a call
# that leaves it out is refused rather than answered for nobody.
TENANT = "tenant"

TreatmentName = Literal["delete", "retain", "anonymise"]

PAGE_ROWS = 5_000
BATCH_ROWS = 2_000


class SourceUnavailable(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The source cannot answer now; the same call may succeed later.

    Codes: SOURCE_UNREACHABLE, SOURCE_ACCESS_DENIED, SOURCE_MISCONFIGURED, SOURCE_READ_ONLY,
    SOURCE_BUSY, SOURCE_TIMEOUT, WATERMARK_GONE.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SourceRefused(Exception):  # noqa: N818
    """The source will not do this, and asking again changes nothing until somebody acts.

    Codes: FENCE_FELL, TENANT_MISSING, VALUE_INVALID (a handle or cursor does not fit its column),
    CURSOR_INVALID, SECTION_UNKNOWN, FILE_UNKNOWN, LIMIT_INVALID, ROWS_STILL_REFERENCED,
    SOURCE_FAULT.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class DeclarationError(Exception):
    """A declaration is wrong in itself, or no longer fits its database."""

    def __init__(self, code: str, sentence: str, next_step: str, pointer: str = "") -> None:
        super().__init__(code, sentence, next_step, pointer)
        self.code = code
        self.sentence = sentence
        self.next_step = next_step
        self.pointer = pointer
        self.file = ""
        self.line = 0

    def located(self, file: str, line: int) -> "DeclarationError":
        self.file, self.line = file, line
        return self

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        return f"{place}{self.pointer or '/'}: {self.sentence} {self.next_step} ({self.code})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What erasure does to a section's rows; `basis`, `rule` and `years` only where it retains."""

    name: TreatmentName
    rule: str | None = None
    basis: str | None = None
    years: int | None = None
    counted_from: str | None = None
    scrub: tuple[str, ...] = ()
    replacements: tuple[tuple[str, str | int | None], ...] = ()

    @property
    def keep_until(self) -> str | None:
        """The end rule in words that do not change when rows are added: part of a plan's hash."""
        if self.name != "retain":
            return None
        return f"{self.years} years from {self.counted_from}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionDescription:
    name: str
    title: Mapping[str, str]
    purpose: str
    treatment: Treatment
    item_class: str
    media: tuple[Literal["rows", "files"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """What a source holds; `handles` are the only keys of a person it may be given."""

    name: str
    owner: str
    handles: tuple[str, ...]
    sections: tuple[SectionDescription, ...]
    declaration_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """The person is known here: the sections that hold at least one row."""

    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows as JSON lines in UTF-8, each ended by a newline. No cursor: this was the last page.

    A cursor holds primary keys, so it stays in the worker's memory and out of logs and topics.
    """

    lines: bytes
    count: int
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file of a person; `ref` opens it and, like a cursor, holds its primary key."""

    ref: str
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePage:
    files: tuple[FileFacts, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedItem:
    """A class of items and what would happen to it.

    The class, treatment, basis, end rule and scrubbed columns are what is approved;
    `count` and `latest_end` are a preview and change as rows come and go.
    """

    section: str
    item_class: str
    treatment: TreatmentName
    basis: str | None
    keep_until: str | None
    scrub: tuple[str, ...]
    count: int
    latest_end: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The order behind a destructive call. `fence` never falls within one request."""

    request_id: str
    step_id: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionTreated:
    section: str
    deleted: int
    retained: int
    anonymised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """Totals of the whole step so far, so a lost reply loses no count. `more`: call again.

    A probe at a later watermark than this one has seen what was done.
    """

    sections: tuple[SectionTreated, ...]
    more: bool
    watermark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What is left of the person. `left` rows should not be there; `retained` ones may."""

    section: str
    left: int
    retained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    watermark: str
    sections: tuple[Probed, ...]


class Source(Protocol):
    """One product team's system. Every verb blocks, raises the errors above, and is thread-safe.

    A watermark says when something was seen; those of one source sort as text in the order they
    were taken. A section that a person has no handle for is empty, and so is an unknown person.
    """

    def describe(self) -> SourceDescription:
        """Say what is held here. Reads nothing but the declaration."""

    def locate(self, handles: Handles) -> Located | None:
        """Say where this person is known; None if nowhere."""

    def watermark(self) -> str:
        """Name this moment."""

    def snapshot(self) -> AbstractContextManager[str]:
        """Hold one moment still: all reads at the watermark it gives agree with each other.

        Ended, or its connection lost, reads at it raise `SourceUnavailable("WATERMARK_GONE")`.
        """

    def export(
        self,
        handles: Handles,
        section: str,
        *,
        cursor: str | None = None,
        limit: int = PAGE_ROWS,
        watermark: str | None = None,
    ) -> Page:
        """Give the page after `cursor`, of at most `limit` rows, fewer when rows are large.

        The same pages come in the same order with the same bytes for as long as the rows do.
        Without a watermark each page is read as of now.
        """

    def stream(
        self, handles: Handles, section: str, *, watermark: str | None = None
    ) -> Iterator[bytes]:
        """Give the whole section in one read: the bytes of all its pages, in whole lines.

        Memory stays constant however large the section is. Closing the iterator ends the read.
        """

    def files(
        self,
        handles: Handles,
        section: str,
        *,
        cursor: str | None = None,
        limit: int = PAGE_ROWS,
        watermark: str | None = None,
    ) -> FilePage:
        """List the files of a section; empty where it holds none."""

    def open_file(
        self, handles: Handles, section: str, ref: str, *, watermark: str | None = None
    ) -> Iterator[bytes]:
        """Give one file in pieces. A `ref` of somebody else's file is `FILE_UNKNOWN`."""

    def plan(self, handles: Handles) -> tuple[PlannedItem, ...]:
        """Say what `treat` would do, one item a section, counts as of now."""

    def treat(self, handles: Handles, step: Step, *, limit: int = BATCH_ROWS) -> Treated:
        """Do the next batch of a step, in one transaction; sections that hang on others go first.

        Called again after its end it changes nothing and answers with the same totals.
        Raises `SourceRefused("FENCE_FELL")` if a higher fence of this request was seen before.
        """

    def probe(self, handles: Handles) -> Probe:
        """Look again, on its own, and count what is left."""

"""One collection run: a source in, sealed fragments out. It blocks, so it has a thread of its own.

Rule 1: everything is read at one moment of the source.
Rule 2: a run has its own id in every fragment's context, so fragments of two runs never mix.
Rule 3: before each fragment it is asked whether the order still stands, and keys are held no longer
than they were lent.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from logbook.sealing import Lease, fragment_context
from plumbing.clock import Clock
from proofs import envelope
from rights.orders import CollectSections
from schemas.fragments import END, pack
from services.collectors.framing import Frame, Tally
from sources.contract import (
    TENANT,
    Handles,
    SectionDescription,
    Source,
    SourceDescription,
    SourceRefused,
    SourceUnavailable,
)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A sealed fragment, and how far the run is with it."""

    value: bytes
    percent: int


class Run:
    """Reads the sections an order asks for. `fragments` may be called once."""

    def __init__(
        self,
        order: CollectSections,
        run_id: str,
        source: Source,
        *,
        lease: Lease,
        clock: Clock,
        still_wanted: Callable[[], None],
    ) -> None:
        self.run_id = run_id
        self._order = order
        self._source = source
        self._lease = lease
        self._clock = clock
        self._still_wanted = still_wanted
        self._description = source.describe()
        self._sections = chosen(self._description, order.sections)
        self._tally = Tally()
        self._percent = 0
        self._sha256 = hashlib.sha256()
        self.watermark = ""
        self.collected_at: datetime | None = None

    @property
    def sections(self) -> tuple[str, ...]:
        return tuple(section.name for section in self._sections)

    @property
    def ciphertext_sha256(self) -> bytes:
        """Over the fragments given out so far, put end to end."""
        return self._sha256.digest()

    def fragments(self) -> Generator[Fragment, None, None]:
        """The run's fragments in order; closing the iterator ends the read.

        Raises:
            SourceUnavailable, SourceRefused, DeclarationError: as the source says.
            VaultUnavailable, VaultRefused: as the vault says.
        """
        order = self._order
        handles = handles_for(self._description, self._lease.get().fields[order.handles_vault_id])
        with self._source.snapshot() as self.watermark:
            self.collected_at = self._clock.now()
            for ordinal, frame in enumerate(self._frames(handles)):
                self._still_wanted()
                value = self._sealed(frame, ordinal)
                self._sha256.update(value)
                yield Fragment(value, self._percent)

    def _sealed(self, frame: Frame, ordinal: int) -> bytes:
        order = self._order
        key = self._lease.get().keys[order.source]
        context = fragment_context(
            order,
            source=order.source,
            run_id=self.run_id,
            ordinal=ordinal,
            is_last=frame.header.kind == END,
        )
        return envelope.seal(key.key, key.key_id, pack(frame.header, frame.payload), context)

    def _frames(self, handles: Handles) -> Iterator[Frame]:
        for done, section in enumerate(self._sections):
            yield from self._rows(handles, section.name, done)
            if "files" in section.media:
                yield from self._files(handles, section.name)
            self._percent = 100 * (done + 1) // len(self._sections)
        self._percent = 100
        yield self._tally.end(titles(self._description))

    def _rows(self, handles: Handles, section: str, done: int) -> Iterator[Frame]:
        blocks = self._source.stream(handles, section, watermark=self.watermark)
        with _ended(blocks):
            expected: int | None = None
            for number, frame in enumerate(self._tally.rows(section, blocks)):
                if number == 1:
                    # Only a section of some size is worth counting beforehand.
                    expected = self._expected_rows(handles, section)
                if expected:
                    share = min(1.0, self._tally.records[section] / expected)
                    self._percent = int(100 * (done + share) / len(self._sections))
                yield frame

    def _expected_rows(self, handles: Handles, section: str) -> int | None:
        try:
            items = self._source.plan(handles)
        except (SourceUnavailable, SourceRefused):
            return None  # A bar that stands still for a while is no reason to fail a run.
        return sum(item.count for item in items if item.section == section)

    def _files(self, handles: Handles, section: str) -> Iterator[Frame]:
        cursor: str | None = None
        while True:
            page = self._source.files(handles, section, cursor=cursor, watermark=self.watermark)
            for facts in page.files:
                pieces = self._source.open_file(
                    handles, section, facts.ref, watermark=self.watermark
                )
                with _ended(pieces):
                    yield from self._tally.file(section, facts.name, facts.media_type, pieces)
            cursor = page.cursor
            if cursor is None:
                return


def chosen(
    description: SourceDescription, sections: tuple[str, ...]
) -> tuple[SectionDescription, ...]:
    """The sections of this source that were asked for; none named means all."""
    return tuple(s for s in description.sections if not sections or s.name in sections)


def handles_for(description: SourceDescription, person: Mapping[str, Any]) -> dict[str, str]:
    """Of what is known of a person only the handles that this source declared."""
    known = {
        **person.get("handles", {}),
        "stable_id": person.get("stable_id"),
        "email": person.get("email"),
        TENANT: person.get("tenant"),
    }
    return {name: str(known[name]) for name in description.handles if known.get(name) is not None}


def titles(description: SourceDescription) -> dict[str, str]:
    """`section/language` → title, of every section, chosen or not: the manifest names both."""
    return {
        f"{section.name}/{language}": title
        for section in description.sections
        for language, title in section.title.items()
    }


@contextmanager
def _ended(iterator: Iterator[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()

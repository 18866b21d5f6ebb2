"""A source in memory, for tests of those who read sources; everybody in it is invented."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sources.contract import (
    FileFacts,
    FilePage,
    Handles,
    Located,
    Page,
    PlannedItem,
    Probe,
    SectionDescription,
    SourceDescription,
    SourceRefused,
    Step,
    Treated,
    Treatment,
)

Photo = tuple[str, str, bytes]
DELETE = Treatment(name="delete")


def line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass
class MemorySource:
    """Rows and files of one person a user id; `fault` runs before each read and may raise."""

    name: str
    rows: dict[str, dict[str, list[dict[str, Any]]]]
    photos: dict[str, dict[str, list[Photo]]] = field(default_factory=dict)
    fault: Callable[[str], None] = lambda _: None
    asked: list[Handles] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    snapshots_open: int = 0
    counted: int = 0

    def describe(self) -> SourceDescription:
        return SourceDescription(
            name=self.name,
            owner="team-example",
            handles=("tenant", "user_id"),
            sections=tuple(
                SectionDescription(
                    name=section,
                    title={"en": section.capitalize(), "fr": f"{section} (fr)"},
                    purpose="to test",
                    treatment=DELETE,
                    item_class=section,
                    media=("rows", "files") if section in self.photos else ("rows",),
                )
                for section in self.rows
            ),
            declaration_hash="00" * 32,
        )

    @contextmanager
    def snapshot(self) -> Iterator[str]:
        self.fault("snapshot")
        self.snapshots_open += 1
        try:
            yield "00000001@2026-03-02T09:00:00Z"
        finally:
            self.snapshots_open -= 1

    def stream(
        self, handles: Handles, section: str, *, watermark: str | None = None
    ) -> Iterator[bytes]:
        self.asked.append(dict(handles))
        self.threads.add(threading.get_ident())
        for row in self.rows[section].get(handles["user_id"], []):
            self.fault(section)
            yield line(row)

    def _photos(self, handles: Handles, section: str) -> list[Photo]:
        return self.photos[section].get(handles["user_id"], [])

    def open_file(
        self, handles: Handles, section: str, ref: str, *, watermark: str | None = None
    ) -> Iterator[bytes]:
        self.fault("file")
        content = self._photos(handles, section)[int(ref)][2]
        for start in range(0, len(content), 64 * 1024):
            yield content[start : start + 64 * 1024]

    def plan(self, handles: Handles) -> tuple[PlannedItem, ...]:
        self.counted += 1
        return tuple(
            PlannedItem(
                section=section,
                item_class=section,
                treatment="delete",
                basis=None,
                keep_until=None,
                scrub=(),
                count=len(rows.get(handles["user_id"], [])),
                latest_end=None,
            )
            for section, rows in self.rows.items()
        )

    def locate(self, handles: Handles) -> Located | None:
        raise SourceRefused("SOURCE_FAULT")

    def watermark(self) -> str:
        raise SourceRefused("SOURCE_FAULT")

    def export(self, handles: Handles, section: str, **_: Any) -> Page:
        raise SourceRefused("SOURCE_FAULT")

    def treat(self, handles: Handles, step: Step, *, limit: int = 1) -> Treated:
        raise SourceRefused("SOURCE_FAULT")

    def probe(self, handles: Handles) -> Probe:
        raise SourceRefused("SOURCE_FAULT")

    def files(
        self,
        handles: Handles,
        section: str,
        *,
        cursor: str | None = None,
        limit: int = 2,
        watermark: str | None = None,
    ) -> FilePage:
        start = int(cursor or 0)
        found = self._photos(handles, section)
        facts = tuple(
            FileFacts(ref=str(i), name=name, media_type=media_type, size_bytes=len(content))
            for i, (name, media_type, content) in enumerate(found)
        )[start : start + 2]
        after = start + len(facts)
        return FilePage(files=facts, cursor=str(after) if after < len(found) else None)

"""First pass: a run's fragments in, members of the archive out, with sizes and digests.

Rule 1: rows become one JSON array a section; they are never parsed, so they stay as the source gave
them.
Rule 2: names in the archive are made here, of section names and numbers; what people called their
files stands in an index beside them.
Rule 3: a run must end with a count that agrees with what came; anything else is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from rights.reports import Extent
from schemas.fragments import END, FILE, ROWS, FragmentHeader
from services.bundler.extents import ExtentUnsoundError
from services.bundler.spool import Member, MemberWriter, Spool

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MEDIA_TYPE: Final = re.compile(r"[a-z0-9]+/[a-z0-9.+-]{1,100}")
OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"
EXTENSIONS: Final[Mapping[str, str]] = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "audio/mpeg": ".mp3",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A member and what kind of file it is."""

    member: Member
    media_type: str
    is_attachment: bool = False


@dataclass(slots=True, kw_only=True)
class Section:
    """A section as it will stand in the archive; its first part is the rows."""

    source: str
    name: str
    watermark: str
    title: str = ""
    records: int = 0
    parts: list[Part] = field(default_factory=list)
    index: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Assembled:
    """What one source's run gave: its sections, and those that nobody asked for by name."""

    sections: tuple[Section, ...]
    left_out: tuple[str, ...]


class Assembly:
    """Takes the fragments of one run of one source, in order."""

    def __init__(
        self, spool: Spool, source: str, extent: Extent, *, language: str, suffix: str
    ) -> None:
        self._spool = spool
        self._source = checked_name(source)
        self._extent = extent
        self._language = language
        self._suffix = suffix
        self._sections: dict[str, Section] = {}
        self._rows: _Rows | None = None
        self._file: _File | None = None
        self._result: Assembled | None = None

    def take(self, header: FragmentHeader, payload: bytes) -> None:
        """The next fragment.

        Raises:
            ExtentUnsoundError: no collector writes such a run.
            QuotaExceededError: the spool is full.
        """
        if self._result is not None:
            raise ExtentUnsoundError("AFTER_END")
        match header.kind:
            case kind if kind == ROWS:
                self._take_rows(header.section, payload)
            case kind if kind == FILE:
                self._take_file(header, payload)
            case kind if kind == END:
                self._finish(header)
            case _:
                raise ExtentUnsoundError("KIND_UNKNOWN")

    def result(self) -> Assembled:
        if self._result is None:
            raise ExtentUnsoundError("NO_END")
        return self._result

    def _take_rows(self, name: str, payload: bytes) -> None:
        if self._rows is None or self._rows.section.name != name:
            self._close()
            self._rows = self._begin(name)
        self._rows.feed(payload)

    def _take_file(self, header: FragmentHeader, payload: bytes) -> None:
        name = header.section
        if name not in self._sections:
            self._close()
            self._rows = self._begin(name)
        self._close_rows()
        if self._file is None:
            section = self._sections[name]
            if header.file != len(section.index) + 1:
                raise ExtentUnsoundError("FILE_ORDER")
            self._file = self._begin_file(section, header)
        if not self._file.continues(header):
            raise ExtentUnsoundError("FILE_ORDER")
        self._file.writer.write(payload)
        if header.is_last:
            self._file.finish()
            self._file = None

    def _begin(self, name: str) -> "_Rows":
        if name in self._sections or name not in self._extent.sections:
            raise ExtentUnsoundError("SECTION_ORDER")
        section = Section(
            source=self._source, name=checked_name(name), watermark=self._extent.watermark
        )
        self._sections[name] = section
        return _Rows(section, self._spool.member(self._place(name) + self._suffix))

    def _begin_file(self, section: Section, header: FragmentHeader) -> "_File":
        is_known = MEDIA_TYPE.fullmatch(header.media_type)
        media_type = header.media_type if is_known else OCTETS
        extension = EXTENSIONS.get(media_type, ".bin")
        path = f"{self._place(section.name)}/files/{header.file:04}{extension}"
        return _File(section, self._spool.member(path), header, media_type)

    def _place(self, section: str) -> str:
        return f"{self._source}/{section}"

    def _close_rows(self) -> None:
        if self._rows is not None:
            self._rows.finish()
            self._rows = None

    def _close(self) -> None:
        """End whatever section is open, and index its files."""
        if self._file is not None:
            raise ExtentUnsoundError("FILE_CUT")
        self._close_rows()
        last = next(reversed(self._sections.values()), None)
        if last is not None and last.index:
            path = f"{self._place(last.name)}/files{self._suffix}"
            rows = _Rows(last, self._spool.member(path))
            rows.feed(b"".join(orjson.dumps(entry) + b"\n" for entry in last.index))
            rows.finish(is_index=True)

    def _finish(self, header: FragmentHeader) -> None:
        self._close()
        for name in self._extent.sections:
            if name not in self._sections:
                # Nothing came of it, and the count below must say that nothing was there.
                self._begin(name).finish()
        found = {name: section.records for name, section in self._sections.items()}
        files = {name: len(s.index) for name, s in self._sections.items() if s.index}
        counted = {name: count for name, count in header.files.items() if count}
        if header.records != found or counted != files:
            raise ExtentUnsoundError("COUNT_DIFFERS")
        for section in self._sections.values():
            section.title = _title(header.titles, section.name, self._language)
        named = {key.partition("/")[0] for key in header.titles}
        self._result = Assembled(
            sections=tuple(self._sections[name] for name in sorted(self._sections)),
            left_out=tuple(sorted(named - self._sections.keys())),
        )


class _Rows:
    """JSON lines on their way into a JSON array."""

    def __init__(self, section: Section, writer: MemberWriter) -> None:
        self.section = section
        self._writer = writer
        self._count = 0
        self._is_begun = False
        self._ends_line = False

    def feed(self, lines: bytes) -> None:
        if not lines:
            return
        self._count += lines.count(b"\n")
        # The line end that was held back turns out to stand between two rows.
        text = b"\n" + lines if self._ends_line else lines
        self._ends_line = text.endswith(b"\n")
        if not self._is_begun:
            self._writer.write(b"[\n")
            self._is_begun = True
        self._writer.write(text.removesuffix(b"\n").replace(b"\n", b",\n"))

    def finish(self, *, is_index: bool = False) -> None:
        if self._is_begun and not self._ends_line:
            raise ExtentUnsoundError("LINE_CUT")
        self._writer.write(b"\n]\n" if self._is_begun else b"[]\n")
        self.section.parts.append(Part(self._writer.finish(), JSON))
        if not is_index:
            self.section.records = self._count


class _File:
    """A file on its way into the archive."""

    def __init__(
        self, section: Section, writer: MemberWriter, header: FragmentHeader, media_type: str
    ) -> None:
        self.writer = writer
        self._section = section
        self._header = header
        self._media_type = media_type

    def continues(self, header: FragmentHeader) -> bool:
        return (header.section, header.file) == (self._section.name, self._header.file)

    def finish(self) -> None:
        member = self.writer.finish()
        self._section.parts.append(Part(member, self._media_type, is_attachment=True))
        entry: dict[str, object] = {
            "path": member.path,
            "name": self._header.file_name,
            "media_type": self._media_type,
            "bytes": member.size,
        }
        self._section.index.append(entry)


def checked_name(name: str) -> str:
    """A source's or section's name becomes part of a path: nothing else may stand in it."""
    if not NAME.fullmatch(name):
        raise ExtentUnsoundError("NAME_INVALID")
    return name


def _title(titles: Mapping[str, str], section: str, language: str) -> str:
    wished = (f"{section}/{language}", f"{section}/en")
    return next((titles[key] for key in wished if key in titles), section)

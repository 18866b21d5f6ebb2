"""Rows and files, cut into pieces that fit into fragments. Knows no source, key or topic.

Rule 1: the `rows` payloads of a section, put end to end, are its JSON lines; a payload ends at a
line's end unless the line alone is too long for one.
Rule 2: the pieces of a file, put end to end, are the file; the last one says so.
Rule 3: a run ends with exactly one `end`, which counts everything before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from schemas.fragments import END, FILE, ROWS, FragmentHeader

# Compressed and sealed it stays within schemas.fragments.FRAGMENT_BYTES_MAX, whatever it holds.
PAYLOAD_BYTES: Final = 480 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """A fragment before it is packed and sealed."""

    header: FragmentHeader
    payload: bytes


@dataclass(slots=True)
class Tally:
    """What a run has framed so far: records and files of each section."""

    records: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)

    def rows(self, section: str, blocks: Iterable[bytes]) -> Iterator[Frame]:
        self.records[section] = 0
        header = FragmentHeader(kind=ROWS, section=section)
        for payload in cut_lines(blocks):
            self.records[section] += payload.count(b"\n")
            yield Frame(header, payload)

    def file(
        self, section: str, name: str, media_type: str, pieces: Iterable[bytes]
    ) -> Iterator[Frame]:
        number = self.files[section] = self.files.get(section, 0) + 1
        for payload, is_last in cut_file(pieces):
            header = FragmentHeader(
                kind=FILE,
                section=section,
                file=number,
                file_name=name,
                media_type=media_type,
                is_last=is_last,
            )
            yield Frame(header, payload)

    def end(self, titles: dict[str, str]) -> Frame:
        header = FragmentHeader(kind=END, records=self.records, files=self.files, titles=titles)
        return Frame(header, b"")


def cut_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of lines as payloads, cut at line ends; a line that is too long is cut anywhere."""
    waiting = bytearray()
    for block in blocks:
        waiting += block
        while len(waiting) > PAYLOAD_BYTES:
            end = waiting.rfind(b"\n", 0, PAYLOAD_BYTES) + 1 or PAYLOAD_BYTES
            yield bytes(memoryview(waiting)[:end])
            del waiting[:end]
    if waiting:
        yield bytes(waiting)


def cut_file(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """A file's pieces as payloads, each with whether it is the last; an empty file has one."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > PAYLOAD_BYTES:
            yield bytes(memoryview(waiting)[:PAYLOAD_BYTES]), False
            del waiting[:PAYLOAD_BYTES]
    yield bytes(waiting), True

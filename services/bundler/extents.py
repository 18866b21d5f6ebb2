"""The fragments of an extent, read straight from their offsets, each byte once.

Rule 1: exactly the extent's offsets, in order; a missing one means that the fragments are gone.
Rule 2: what comes out is the collector's run only if the count and the SHA-256 of the ciphertext
agree; that is known after the last fragment, so nothing of it may be shown to anybody before.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Final

from plumbing.kafka import PositionLost, Reader, Record, TopicPartition
from rights.reports import Extent, OffsetRun
from schemas.topics import fragments

POLL_S: Final = 0.2
# Of at most half a megabyte each.
POLL_RECORDS: Final = 16
# Runs of one order are interleaved with those of others: reading past a few fragments of theirs is
# cheaper than asking the broker anew.
SKIP_MAX: Final = 64


class ExtentGoneError(Exception):
    """Some of the fragments are not readable any more; the source must be collected again."""


class ExtentUnsoundError(Exception):
    """The fragments are not those that the collector reported."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Readers:
    """One reader a source, kept from one order to the next.

    A broker answers a connection's requests in turn, and a fetch at the end of a partition is held
    for a while. Sources that shared a reader would wait for each other's.
    """

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self._connect = connect
        self._readers: dict[str, Reader] = {}

    def of(self, source: str) -> Reader:
        if source not in self._readers:
            self._readers[source] = self._connect()
        return self._readers[source]

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


class ExtentReader:
    """Reads the extents of one source; `keep_going` is asked while nothing comes, and may raise."""

    def __init__(self, reader: Reader, keep_going: Callable[[], None]) -> None:
        self._reader = reader
        self._keep_going = keep_going

    def fragments(self, source: str, extent: Extent) -> Iterator[bytes]:
        """The values of the extent's fragments in order.

        Raises:
            ExtentGoneError: at the first one that is missing.
            ExtentUnsoundError: the extent contradicts itself, or what was read contradicts it.
        """
        _check_shape(extent)
        digest = hashlib.sha256()
        try:
            for value in self._values((fragments(source), extent.partition), extent.runs):
                digest.update(value)
                yield value
        except PositionLost as lost:
            raise ExtentGoneError from lost
        finally:
            # What lies behind is nobody's business, and must not be fetched.
            self._reader.assign({})
        if digest.digest() != extent.ciphertext_sha256:
            raise ExtentUnsoundError("CIPHERTEXT_DIFFERS")

    def _values(self, place: TopicPartition, runs: tuple[OffsetRun, ...]) -> Iterator[bytes]:
        until = runs[-1].last
        position = runs[0].first
        records = self._records(place, position, until)
        for run in runs:
            if run.first - position > SKIP_MAX:
                records = self._records(place, run.first, until)
            for wanted in range(run.first, run.last + 1):
                record = next((r for r in records if r.offset >= wanted), None)
                if record is None or record.offset != wanted or record.value is None:
                    raise ExtentGoneError
                yield record.value
            position = run.last + 1

    def _records(self, place: TopicPartition, first: int, until: int) -> Iterator[Record]:
        self._reader.assign({place: first})
        while self._reader.position(place) <= until:
            records = self._reader.poll(POLL_RECORDS, POLL_S)
            if not records:
                self._keep_going()
                if self._reader.end_offsets([place])[place] <= until:
                    return
            yield from records


def _check_shape(extent: Extent) -> None:
    ends = list(itertools.chain.from_iterable((run.first, run.last) for run in extent.runs))
    is_rising = all(run.first <= run.last for run in extent.runs) and all(
        before.last < after.first for before, after in itertools.pairwise(extent.runs)
    )
    count = sum(run.last - run.first + 1 for run in extent.runs)
    if not ends or ends[0] < 0 or not is_rising or count != extent.chunks:
        raise ExtentUnsoundError("EXTENT_MALFORMED")

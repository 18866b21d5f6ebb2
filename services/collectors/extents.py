"""Where a run's fragments lie: offsets in, runs of offsets out. Does no I/O."""

from dataclasses import dataclass, field
from typing import Protocol

from rights.reports import OffsetRun


class Placed(Protocol):
    """Where the broker put a record."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


class OutOfOrderError(Exception):
    """The broker holds the fragments in another order than they were sent in; the run is void."""


@dataclass(slots=True)
class Places:
    """The places of one run's fragments, in the order in which they were sent."""

    chunks: int = 0
    _partition: int | None = None
    _runs: list[OffsetRun] = field(default_factory=list)

    def add(self, placed: Placed) -> None:
        """Note where the next fragment lies.

        Raises:
            OutOfOrderError: not behind the one before it, or on another partition.
        """
        if self._partition not in (None, placed.partition):
            raise OutOfOrderError
        self._partition = placed.partition
        last = self._runs[-1].last if self._runs else -1
        if placed.offset <= last:
            raise OutOfOrderError
        if self._runs and placed.offset == last + 1:
            self._runs[-1] = OffsetRun(first=self._runs[-1].first, last=placed.offset)
        else:
            self._runs.append(OffsetRun(first=placed.offset, last=placed.offset))
        self.chunks += 1

    @property
    def partition(self) -> int:
        assert self._partition is not None, "a run has at least its end"
        return self._partition

    @property
    def runs(self) -> tuple[OffsetRun, ...]:
        return tuple(self._runs)

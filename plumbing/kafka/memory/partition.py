"""One partition inside the process: records, control records, and where the stable part ends.

It does not lock; `cluster` does.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from plumbing.kafka.errors import PositionLost
from plumbing.kafka.records import Outgoing, Record, TopicPartition


@dataclass(eq=False, slots=True, kw_only=True)
class Transaction:
    """What its records share: whether they count, which nobody knows before its end."""

    began_at: timedelta
    touched: list["PartitionLog"] = field(default_factory=list)
    is_committed: bool | None = None

    @property
    def is_open(self) -> bool:
        return self.is_committed is None


class _Entry(NamedTuple):
    # None: a control record, which takes an offset and is never handed out.
    record: Record | None
    transaction: Transaction | None

    @property
    def is_visible(self) -> bool:
        return self.record is not None and (
            self.transaction is None or self.transaction.is_committed is True
        )


class PartitionLog:
    def __init__(self, topic: str, number: int) -> None:
        self.name: TopicPartition = (topic, number)
        self.start = 0
        self._entries: list[_Entry] = []
        self._first_open: dict[Transaction, int] = {}

    @property
    def high_watermark(self) -> int:
        return self.start + len(self._entries)

    @property
    def end(self) -> int:
        """The last stable offset: behind it lies nothing whose fate is undecided."""
        return min(self._first_open.values(), default=self.high_watermark)

    def append(self, out: Outgoing, at: datetime, transaction: Transaction | None = None) -> int:
        offset = self.high_watermark
        if transaction is not None and self not in transaction.touched:
            transaction.touched.append(self)
            self._first_open[transaction] = offset
        record = Record(*self.name, offset, out.key, out.value, at, out.headers)
        self._entries.append(_Entry(record, transaction))
        return offset

    def close_transaction(self, transaction: Transaction) -> None:
        """Write the control record of a transaction that has just ended."""
        del self._first_open[transaction]
        self._entries.append(_Entry(None, transaction))

    def read(self, position: int, max_records: int) -> tuple[list[Record], int]:
        """Committed records from `position` on, and the position behind them.

        Raises:
            PositionLost: there is no such position, or not any more.
        """
        if not self.start <= position <= self.high_watermark:
            raise PositionLost(self.name, position)
        records: list[Record] = []
        end = self.end
        while position < end and len(records) < max_records:
            entry = self._entries[position - self.start]
            if entry.is_visible and entry.record is not None:
                records.append(entry.record)
            position += 1
        return records, position

    def trim(self, before: int) -> None:
        """Forget everything below `before`, which may not lie beyond the end."""
        keep_from = min(max(before, self.start), self.high_watermark)
        del self._entries[: keep_from - self.start]
        self.start = keep_from

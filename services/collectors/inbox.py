"""Which orders run here, and which of the records that brought them may be acknowledged.

Rule 1: a record is acknowledged only after every earlier one of its partition. Faust commits past
a record that is still being worked on if a later one was acknowledged first (its search for gaps
does not look between the committed offset and the first acknowledged one).
Rule 2: a repeat of a running order waits with it: after a rebalance it may be the only record by
which the order would come again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Place = tuple[str, int, int]
Acknowledge = Callable[[], object]


@dataclass(slots=True)
class _Waiting:
    acknowledge: Acknowledge
    is_finished: bool = False


@dataclass(slots=True)
class Inbox:
    """Places are (topic, partition, offset); it does no I/O but to call `acknowledge`."""

    _records: dict[tuple[str, int], dict[int, _Waiting]] = field(default_factory=dict)
    _running: dict[str, list[Place]] = field(default_factory=dict)

    def arrived(self, place: Place, acknowledge: Acknowledge) -> bool:
        """A record came; False if it is being worked on already, or waits for earlier ones."""
        topic, partition, offset = place
        records = self._records.setdefault((topic, partition), {})
        known = records.get(offset)
        if known is not None:
            known.acknowledge = acknowledge
            return False
        records[offset] = _Waiting(acknowledge)
        return True

    def begins(self, order_id: str, place: Place) -> bool:
        """Whether the order is to be run for this record; if it runs already, both end together."""
        places = self._running.get(order_id)
        if places is not None:
            places.append(place)
            return False
        self._running[order_id] = [place]
        return True

    def ended(self, order_id: str) -> None:
        """The order is done with; the records that brought it may go."""
        for place in self._running.pop(order_id):
            self.settled(place)

    def settled(self, place: Place) -> None:
        """Nothing more will be done for this record."""
        topic, partition, offset = place
        records = self._records[topic, partition]
        records[offset].is_finished = True
        for earliest in sorted(records):
            if not records[earliest].is_finished:
                return
            records.pop(earliest).acknowledge()

    @property
    def running(self) -> int:
        return len(self._running)

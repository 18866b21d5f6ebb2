"""The log's records as the broker has them now, from the first to the last at this moment."""

import time
from collections.abc import Iterator
from typing import Final

from plumbing.kafka import Connection, Record
from schemas.topics import DECISIONS

BATCH: Final = 5000
POLL_S: Final = 0.2
SILENCE_MAX_S: Final = 30.0


class NothingFoundError(Exception):
    """There is no log here, or it is empty."""


class LiveLog:
    """One reading of the whole log. Close it."""

    def __init__(self, connection: Connection) -> None:
        admin = connection.admin()
        try:
            found = admin.describe(DECISIONS)
        finally:
            admin.close()
        if found is None:
            raise NothingFoundError
        self.partitions = found
        places = [(DECISIONS, partition) for partition in range(found)]
        self._reader = connection.reader()
        self._ends = self._reader.end_offsets(places)
        starts = self._reader.start_offsets(places)
        # Control records take offsets too, so this is how far there is to go, not how many come.
        self.span = sum(self._ends[place] - starts[place] for place in places)
        self._reader.assign(starts)

    def records(self) -> Iterator[Record]:
        """Everything that was committed when the reading began.

        Raises:
            TimeoutError: the broker fell silent.
        """
        heard_at = time.monotonic()
        while any(self._reader.position(place) < end for place, end in self._ends.items()):
            batch = self._reader.poll(BATCH, POLL_S)
            if batch:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > SILENCE_MAX_S:
                raise TimeoutError
            for record in batch:
                if record.offset < self._ends[record.topic, record.partition]:
                    yield record

    def close(self) -> None:
        self._reader.close()

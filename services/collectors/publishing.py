"""Fragments on their way to the broker, a bounded number at a time; slower broker, slower reader.

It does not know what a fragment holds. Faust's producer stands behind it in a process, and an
in-memory broker in tests.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any, Final, Protocol, Self

from plumbing.kafka import Outgoing
from services.collectors.extents import Places

# Of at most half a megabyte each: enough to keep the broker busy, little to hold.
IN_FLIGHT_MAX: Final = 8


class Publisher(Protocol):
    """Sends records, in order for each partition, acknowledged by all replicas."""

    async def send(self, out: Outgoing) -> "asyncio.Future[Any]":
        """Give a record to the producer, waiting while its buffer is full.

        The future has `partition` and `offset` once the broker has the record, or its failure.
        """
        ...


class Flight:
    """The fragments of one run, from sending to the places where they lie.

    Leaving it with an exception abandons what is on its way: those records are orphans that no
    extent will name.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._under_way: deque[asyncio.Future[Any]] = deque()
        self.places = Places()

    async def send(self, out: Outgoing) -> None:
        """Send the next fragment; waits while too many are unanswered."""
        self._under_way.append(await self._publisher.send(out))
        while len(self._under_way) >= IN_FLIGHT_MAX:
            await self._land()

    async def landed(self) -> Places:
        """Wait until the broker has every fragment."""
        while self._under_way:
            await self._land()
        return self.places

    async def _land(self) -> None:
        self.places.add(await self._under_way.popleft())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for unanswered in self._under_way:
            unanswered.cancel()


def forget(sent: "asyncio.Future[Any]") -> None:
    """Let a record go whose arrival matters to nobody: a sign of life."""
    sent.add_done_callback(lambda done: done.cancelled() or done.exception())

"""What a broker promises, part by part, as the rest of habeas relies on it.

It does not say how: `connection` does over a real broker, `memory` inside one process, and one
contract suite (`tests/contracts/kafka`) holds both to the prose below.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from plumbing.kafka.errors import BrokerError
from plumbing.kafka.records import Delivery, Outgoing, Record, TopicPartition, TopicSpec

Answer = Callable[[Delivery | BrokerError], None]
Owners = Callable[[list[TopicPartition]], None]


class Producer(Protocol):
    """Sends outside transactions: acknowledged by all replicas, no duplicates of its own making.

    Safe to share between threads. A record given to `send` and not yet answered may or may not
    arrive if the process dies.
    """

    def send(self, out: Outgoing, on_delivery: Answer | None = None) -> None:
        """Take a record on its way and return, without waiting for the broker.

        Waits only while the buffer is full. `on_delivery` is called exactly once, perhaps before
        `send` returns and perhaps on another thread; it must be short and must not raise.

        Raises:
            BrokerError: the record cannot be sent at all (too large, buffer full for too long).
        """
        ...

    def flush(self, timeout: float) -> int:
        """Wait until everything is answered, at most `timeout` seconds; says how many are not."""
        ...

    def send_and_wait(self, outs: Sequence[Outgoing], timeout: float) -> list[Delivery]:
        """Send and wait for every answer, in the order of `outs`.

        Raises:
            BrokerError: one could not be delivered or is not answered in time; others may be there,
                and so may this one.
        """
        ...

    def close(self) -> None:
        """Give what is buffered a few seconds, then let go. May be called twice."""
        ...


class Reader(Protocol):
    """Reads chosen partitions from chosen positions; sees committed records only. One thread's."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions, each from this offset on, and no others."""
        ...

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """What there is, as soon as there is any, else nothing after at most `timeout` seconds.

        May return nothing early. Records of one partition come in order.

        Raises:
            PositionLost: an assigned position is below the partition's start or beyond its end. It
                stays lost, for this and every later call, until `assign`.
            BrokerError: anything else that does not pass by itself.
        """
        ...

    def position(self, partition: TopicPartition) -> int:
        """The offset that will be read next.

        Transactions leave control records behind that are never handed out, so the position moves
        further than the last record: "caught up" is `position >= end offset`, after a poll.
        """
        ...

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where the committed part ends now: an open transaction holds its partition's end back.

        So does one that was committed a moment ago. Only behind a `fence` of its writer's id is it
        sure that the end has nothing of that writer's before it still to come.
        """
        ...

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that is still kept."""
        ...

    def close(self) -> None: ...


class Group(Protocol):
    """A member of a consumer group: who owns which partitions, and at-least-once reading.

    Sees committed records only. One thread's; it must be polled, because callbacks run inside
    `poll` and `close`. With an instance id the membership is static: who comes back within the
    session time-out (10 s) gets the same partitions and nobody else notices.
    """

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Owners | None = None,
        on_revoke: Owners | None = None,
        *,
        ownership_only: bool = False,
    ) -> None:
        """Join for these topics (range assignment: partition n of each lands together).

        Each callback gets all partitions, given or taken. `on_revoke` may still commit, unless they
        are already lost. With `ownership_only` no records are read. A partition without a committed
        position is read from its start.
        """
        ...

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """As `Reader.poll`, and the place where partitions come and go.

        Raises:
            Fenced: another process joined under our instance id, or a broker that was away for long
                took our coming back for that. Either way this member is dead: leave.
            PositionLost: the committed position is gone.
            BrokerError: as `Reader.poll`.
        """
        ...

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Write down, for this group, the offsets to be read next.

        Raises:
            BrokerError: not written down; after a rebalance somebody else may own the partitions.
        """
        ...

    def assignment(self) -> frozenset[TopicPartition]: ...

    def close(self) -> None:
        """Revoke and let go. A static member's partitions wait for it; a dynamic one's move on."""
        ...


class TransactionalWriter(Protocol):
    """Writes batches, each whole or not at all; of all writers under one id only the last may.

    One thread's. The order is always: fence, read to the end, write.
    """

    def fence(self) -> None:
        """Shut out every older writer of this id and abort what it left open.

        Raises:
            Indefinite: not known to have happened; may be called again.
            Fenced: a still newer writer was quicker.
        """
        ...

    def write(self, batch: Sequence[Outgoing]) -> None:
        """One transaction; returns when it is sure to be committed, a moment before readers see it.

        An empty batch does nothing.

        Raises:
            Indefinite: the outcome is unknown. The writer has let its producer go and must be
                fenced again, and the log read to its end, before anything else is written.
            Fenced: the same, and the design says: leave.
        """
        ...

    def close(self) -> None: ...


class Admin(Protocol):
    """Topics and positions, for whoever sets up, looks in, or prunes."""

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is missing and wait until it can be used; existing settings stay as they are.

        Raises:
            TopicMismatch: one exists with another partition count; nothing was created.
        """
        ...

    def describe(self, topic: str) -> int | None:
        """Its partition count; None if there is no such topic."""
        ...

    def topics(self) -> frozenset[str]:
        """All topics but the broker's own."""
        ...

    def delete_topics(self, topics: Sequence[str]) -> None:
        """Delete these; one that does not exist is no error."""
        ...

    def trim(self, positions: Mapping[TopicPartition, int]) -> None:
        """Delete the records below each offset."""
        ...

    def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where each ends, uncommitted records included.

        For long further than its end offset: a hanging transaction (N7 of the plan).
        """
        ...

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """What a group has written down."""
        ...

    def close(self) -> None: ...


class Connection(Protocol):
    """Where a process gets its readers and writers from. Whoever takes one closes it."""

    def producer(self) -> Producer: ...

    def reader(self) -> Reader: ...

    def group(self, group_id: str, instance_id: str | None = None) -> Group: ...

    def writer(self, transactional_id: str) -> TransactionalWriter: ...

    def admin(self) -> Admin: ...

"""One partition, from fencing to read-back: the loop around `Deciding`.

Rule 1: fence, read to the end, decide; on any doubt throw the memory away and begin again.
Rule 2: the next batch begins only after the last one was read back as valid.
Rule 3: orders leave after the read-back, so none can be for a decision that is not in the log.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from logbook.following import Follower, Following, LostRaceError, StartingPoint, WrongLogError
from logbook.reporting import Reporter
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.failpoints import fp
from plumbing.kafka import (
    Connection,
    Indefinite,
    PositionLost,
    Producer,
    Record,
    TransactionalWriter,
)
from plumbing.process import Stop
from rights.commands import PublishPolicy
from rights.events import LogOpened
from rights.ledger import Ledger
from rights.policies import PolicyBook
from schemas.codec import UndecodableError, decode_as
from schemas.log import Entry
from schemas.topics import PROGRESS, input_topics
from schemas.wire import ProgressMessage
from services.decider.config import DeciderConfig
from services.decider.deciding import Batch, Deciding, LogicFaultError, Written
from services.decider.dispatch import Dispatch
from services.decider.snapshots import Snapshots

POLL_S: Final = 0.2
READ_BACK_S: Final = 30.0
OVERDUE_EVERY_S: Final = 5.0
SNAPSHOT_EVERY: Final = 20_000
log = telemetry.get("decider")


# After any of these: is the partition still ours? Then fence, replay, and go on.
DOUBTS: Final = (Indefinite, LostRaceError, LogicFaultError, TimeoutError)


class ForeignLogError(Exception):
    """The partition was opened with other numbers than we are configured with; we must not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every partition of a process shares."""

    config: DeciderConfig
    connection: Connection
    producer: Producer
    clock: Clock
    book: PolicyBook
    policies: Following
    reporter: Reporter


class PartitionRun:
    """One epoch of one partition: it ends when it is stopped, or in doubt."""

    def __init__(
        self, partition: int, around: Surroundings, faults: dict[tuple[str, int, int], int]
    ) -> None:
        self.partition = partition
        self._around = around
        self._stop = Stop()
        self._faults = faults
        config = around.config
        self._channels = input_topics(config.sources)
        self._writer: TransactionalWriter = around.connection.writer(
            f"habeas.decider.{config.cluster}.{partition}"
        )
        self._dispatch = Dispatch(partition, config.resend_after)
        self._snapshots = Snapshots(config.snapshots)

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Decide until stopped or in doubt.

        Raises:
            Exception: in `DOUBTS`, the memory is worth nothing any more, and whoever still owns the
                partition begins a new run; anything else is fatal.
        """
        try:
            self._epoch()
        finally:
            self._writer.close()

    def _epoch(self) -> None:
        self._writer.fence()
        epoch = _Epoch(self.partition, self._around, self._faults, self._channels, self._snapshots)
        try:
            epoch.replay()
            self._begin(epoch)
            self._decide(epoch)
        finally:
            epoch.close()

    def _begin(self, epoch: "_Epoch") -> None:
        if epoch.deciding.ledger.head.seq < 0:
            partitions = self._around.config.partitions
            written = epoch.deciding.genesis(partitions, now=self._around.clock.now())
            self._record(epoch, Batch([written]))
        epoch.seek_inputs()
        ledger = epoch.deciding.ledger
        orders = self._dispatch.restart(
            ledger.subjects.values(), ledger.head.seq, at_s=time.monotonic()
        )
        for order in orders:
            self._around.producer.send(order)
        log.info(
            "partition_taken",
            partition=self.partition,
            seq=ledger.head.seq,
            orders=len(orders),
        )

    def _decide(self, epoch: "_Epoch") -> None:
        looked_at_s = time.monotonic()
        while not self._stop.is_set():
            records = epoch.inputs.poll(self._around.config.batch_max, POLL_S)
            self._hear(records)
            waiting = [r for r in records if r.topic != PROGRESS]
            while waiting:
                fp("decider.consumed")
                batch = epoch.deciding.step(waiting, now=self._around.clock.now())
                self._record(epoch, batch)
                waiting = waiting[batch.used :]
            if time.monotonic() - looked_at_s >= OVERDUE_EVERY_S:
                looked_at_s = time.monotonic()
                seq = epoch.deciding.ledger.head.seq
                for order in self._dispatch.overdue(seq, at_s=looked_at_s):
                    self._around.producer.send(order)

    def _hear(self, records: Sequence[Record]) -> None:
        """Progress is a sign of life about an order; it is never decided."""
        for record in records:
            if record.topic == PROGRESS:
                try:
                    message = decode_as(ProgressMessage, record.value or b"")
                except UndecodableError:
                    continue
                self._dispatch.heard_of(message.order_id, at_s=time.monotonic())

    def _record(self, epoch: "_Epoch", batch: Batch) -> None:
        """Commit a batch, read it back, and only then let anybody act on it."""
        if not batch.written:
            return
        self._writer.write([written.outgoing for written in batch.written])
        epoch.read_back(batch.written)
        fp("decider.read_back")
        self._publish(epoch.deciding.ledger, batch)
        self._after_publication(batch)
        if epoch.deciding.ledger.head.seq // SNAPSHOT_EVERY > epoch.snapshot_seq // SNAPSHOT_EVERY:
            epoch.save_snapshot()

    def _publish(self, ledger: Ledger, batch: Batch) -> None:
        touched = {w.entry.decision.subject_ref for w in batch.written} - {None}
        at_s = time.monotonic()
        for ref in touched:
            if ref in ledger.subjects:
                subject = ledger.subjects[ref]
                for order in self._dispatch.after(subject, ledger.head.seq, at_s=at_s):
                    self._around.producer.send(order)
        for dead in batch.dead:
            log.error(
                "command_unreadable",
                topic=dead.record.topic,
                partition=dead.record.partition,
                offset=dead.record.offset,
                code=dead.code,
            )
            self._around.producer.send(self._around.reporter.dead_letter(dead.record, dead.code))

    def _after_publication(self, batch: Batch) -> None:
        last = batch.written[-1].entry.decision
        if last.command.type == PublishPolicy.__name__:
            self._around.policies.wait_for(self.partition, last.seq, READ_BACK_S)


class _Epoch:
    """The memory and readers of one epoch; thrown away as a whole."""

    def __init__(
        self,
        partition: int,
        around: Surroundings,
        faults: dict[tuple[str, int, int], int],
        channels: dict[str, str],
        snapshots: Snapshots,
    ) -> None:
        self._partition = partition
        self._around = around
        self._snapshots = snapshots
        self._channels = channels
        offset, ledger = snapshots.load(partition, around.config.log_id) or (0, Ledger(partition))
        self.snapshot_seq = ledger.head.seq
        self.deciding = Deciding(
            ledger=ledger,
            book=around.book,
            log_id=around.config.log_id,
            channels=channels,
            faults=faults,
        )
        self.inputs = around.connection.reader()
        self._log = Follower(
            around.connection,
            [partition],
            {partition: StartingPoint(offset, ledger.head)},
            log_id=around.config.log_id,
        )

    def replay(self) -> None:
        ledger = self.deciding.ledger

        def apply(entry: Entry) -> None:
            self._check_opening(entry)
            ledger.apply(entry.decision, entry.events, entry.head)

        self._log.read_to_end(apply, patience_s=600.0)

    def _check_opening(self, entry: Entry) -> None:
        for event in entry.events:
            if isinstance(event, LogOpened):
                if event.log_id != self._around.config.log_id:
                    raise WrongLogError
                if event.partitions != self._around.config.partitions:
                    raise ForeignLogError("PARTITIONS_CHANGED")

    def seek_inputs(self) -> None:
        """Go on where the last decision says we were; group offsets are for lag metrics only."""
        inputs = [(topic, self._partition) for topic in self._channels]
        progress = (PROGRESS, self._partition)
        positions = self.deciding.ledger.positions
        starts = self.inputs.start_offsets(inputs)
        for tp in inputs:
            if tp in positions and starts[tp] > positions[tp]:
                # Commands were trimmed away before we saw them: halting is the honest answer.
                raise PositionLost(tp, positions[tp])
        ends = self.inputs.end_offsets([progress])
        self.inputs.assign({tp: positions.get(tp, starts[tp]) for tp in inputs} | ends)

    def read_back(self, written: Sequence[Written]) -> None:
        """See our own batch in the log, in our order and with our hashes, or doubt everything."""
        expected = [(w.outgoing.key, w.outgoing.value, w.entry.head) for w in written]
        give_up_at = time.monotonic() + READ_BACK_S
        while not self._log.poll_until_written(expected):
            if time.monotonic() > give_up_at:
                raise LostRaceError

    def save_snapshot(self) -> None:
        offset = self._log.next_offset(self._partition)
        self._snapshots.save(self._partition, offset, self.deciding.ledger)
        self.snapshot_seq = self.deciding.ledger.head.seq

    def close(self) -> None:
        self.inputs.close()
        self._log.close()

"""Reads every partition of the log in order, keeps the chains, and counts void records.

Rule 1: entries are handed on in order, each once; void records are counted and never handed on.
Rule 2: a record that is no decision stops the reader: the log itself is damaged.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from plumbing import telemetry
from plumbing.kafka import Connection, Reader
from rights.decisions import EMPTY, Head
from schemas.log import Chain, Entry, Void
from schemas.topics import DECISIONS

BATCH: Final = 2000
log = telemetry.get("logbook.following")


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where a reader takes up a partition: the next offset, and the head before it."""

    offset: int
    head: Head


class WrongLogError(Exception):
    """The log is not the one the process was configured for: two installations were mixed up."""


class LostRaceError(Exception):
    """The log holds another decision than the one we wrote: somebody else extended it first."""


class Follower:
    """Follows the given partitions of the log from their starts, or from where a view left off."""

    def __init__(
        self,
        connection: Connection,
        partitions: Iterable[int],
        starting_points: dict[int, StartingPoint] | None = None,
        *,
        log_id: str | None = None,
        is_sparing: bool = False,
    ) -> None:
        """`is_sparing`: entries are decoded when somebody looks into them, as few readers do."""
        self._log_id = log_id
        self._reader: Reader = connection.reader()
        starts = starting_points or {}
        self.chains = {
            p: Chain(starts[p].head if p in starts else EMPTY, is_sparing)
            for p in sorted(partitions)
        }
        self.voids = 0
        self._reader.assign(
            {(DECISIONS, p): starts[p].offset if p in starts else 0 for p in self.chains}
        )

    def poll(self, timeout: float, max_records: int = BATCH) -> list[Entry]:
        """The next valid entries of all partitions, oldest first within each."""
        entries = []
        for record in self._reader.poll(max_records, timeout):
            found = self.chains[record.partition].read(record.key, record.value)
            if isinstance(found, Void):
                self.voids += 1
                log.error(
                    "void_record",
                    partition=record.partition,
                    offset=record.offset,
                    seq=found.claimed_seq,
                )
            else:
                if self._log_id not in (None, found.place.log_id):
                    raise WrongLogError
                entries.append(found)
        return entries

    def poll_until_written(self, written: list[tuple[bytes | None, bytes, Head]]) -> bool:
        """Read one partition's own writes back; True when all are seen, in order and unchanged.

        Takes each seen write from the front of `written` (key, value, the head after it). Equal
        bytes on the head we hold need no decoding to be known as valid.

        Raises:
            LostRaceError: somebody else extended the log first.
        """
        for record in self._reader.poll(len(written), 0.05):
            chain = self.chains[record.partition]
            key, value, head = written[0] if written else (None, b"", EMPTY)
            if written and (record.key, record.value) == (key, value):
                chain.head = head
                written.pop(0)
            elif not isinstance(chain.read(record.key, record.value), Void):
                raise LostRaceError
            else:
                self.voids += 1
                log.error("void_record", partition=record.partition, offset=record.offset)
        return not written

    def next_offset(self, partition: int) -> int:
        return self._reader.position((DECISIONS, partition))

    def is_caught_up(self, ends: dict[int, int]) -> bool:
        """Whether every partition was read to `ends`; positions count, as markers take offsets."""
        return all(self.next_offset(p) >= end for p, end in ends.items())

    def ends(self) -> dict[int, int]:
        tps = [(DECISIONS, p) for p in self.chains]
        return {p: end for (_, p), end in self._reader.end_offsets(tps).items()}

    def read_to_end(self, apply: Callable[[Entry], object], *, patience_s: float = 60.0) -> None:
        """Apply everything that is readable now, however long that takes.

        Raises:
            TimeoutError: nothing could be read for `patience_s`, and the end is not reached.
        """
        ends = self.ends()
        give_up_at = time.monotonic() + patience_s
        reached: list[int] = []
        while not self.is_caught_up(ends):
            for entry in self.poll(0.05):
                apply(entry)
            positions = [self.next_offset(p) for p in ends]
            if positions != reached:
                reached, give_up_at = positions, time.monotonic() + patience_s
            if time.monotonic() > give_up_at:
                raise TimeoutError("the log could not be read to its end")

    def close(self) -> None:
        self._reader.close()


class Following:
    """A follower on a thread of its own, with somewhere to wait for a position.

    `apply` is called for each entry under `lock`; readers of what it builds take the same lock.
    """

    def __init__(self, follower: Follower, apply: Callable[[Entry], object]) -> None:
        self.lock = threading.RLock()
        self.failure: BaseException | None = None
        self._follower = follower
        self._apply = apply
        self._moved = threading.Condition(self.lock)
        self._stopping = threading.Event()
        self._applied: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    def start(self) -> None:
        """Catch up first, then go on in the background."""
        self._follower.read_to_end(self._locked_apply)
        self._thread.start()

    def _locked_apply(self, entry: Entry) -> None:
        with self.lock:
            self._apply(entry)
            self._applied[entry.place.partition] = entry.place.seq

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                entries = self._follower.poll(0.2)
                if entries:
                    with self._moved:
                        for entry in entries:
                            self._locked_apply(entry)
                        self._moved.notify_all()
        except Exception as failure:  # noqa: BLE001 - handed to the owner, who stops the process
            with self._moved:
                self.failure = failure
                self._moved.notify_all()

    def check(self) -> None:
        """Raise what stopped the follower, so that a worker never goes on with a dead one."""
        if self.failure is not None:
            raise self.failure

    def seq(self, partition: int) -> int:
        """The last decision of the partition that `apply` has seen, -1 before the first."""
        return self._applied.get(partition, -1)

    def seqs(self) -> dict[int, int]:
        """The last decision of every partition that `apply` has seen."""
        with self.lock:
            return dict(self._applied)

    @property
    def voids(self) -> int:
        return self._follower.voids

    def wait_for(self, partition: int, seq: int, timeout: float) -> bool:
        """Whether the follower has applied the decision, waiting for it a while."""
        return self.wait_until(lambda: self.seq(partition) >= seq, timeout)

    def wait_until(self, holds: Callable[[], bool], timeout: float) -> bool:
        with self._moved:
            reached = self._moved.wait_for(lambda: holds() or self.failure is not None, timeout)
            self.check()
            return reached

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._follower.close()

"""Which partitions are this process's: the group says so, and nothing else.

The group reads no records: it hands out partitions of the intake topic, and whoever owns partition
n there owns partition n of every input and of the log.
"""

import threading
from typing import Final

from plumbing import telemetry
from plumbing.kafka import Fenced, Group, TopicPartition
from plumbing.process import Stop
from schemas.topics import COMMANDS_INTAKE
from services.decider.partition import DOUBTS, PartitionRun, Surroundings

JOIN_S: Final = 30.0
EXIT_FENCED: Final = 75
log = telemetry.get("decider")


class _Owned:
    """A partition's run on its own thread, and what ended it."""

    def __init__(self, run: PartitionRun) -> None:
        self.run = run
        self.failure: BaseException | None = None
        self.thread = threading.Thread(
            target=self._guarded, name=f"partition-{run.partition}", daemon=True
        )
        self.thread.start()

    def _guarded(self) -> None:
        try:
            self.run.run()
        except BaseException as failure:  # noqa: BLE001 - the owner acts on it
            self.failure = failure

    def end(self) -> None:
        self.run.stop()
        self.thread.join(JOIN_S)


class Ownership:
    """Starts and ends partition runs as the group gives and takes."""

    def __init__(self, group: Group, around: Surroundings) -> None:
        self._group = group
        self._around = around
        self._owned: dict[int, _Owned] = {}
        # How often `decide` raised on an input, kept over the epochs of a partition.
        self._faults: dict[int, dict[tuple[str, int, int], int]] = {}

    def hold(self, stop: Stop) -> int:
        """Own what we are given until stopped; the answer is the process's exit code."""
        self._group.subscribe([COMMANDS_INTAKE], self._given, self._taken, ownership_only=True)
        try:
            while not stop.is_set():
                self._group.poll(1, 0.2)
                self._around.policies.check()
                for partition, owned in list(self._owned.items()):
                    if owned.failure is not None:
                        code = self._after(partition, owned.failure)
                        if code is not None:
                            return code
            return 0
        finally:
            self._taken([(COMMANDS_INTAKE, p) for p in self._owned])
            self._group.close()

    def _given(self, partitions: list[TopicPartition]) -> None:
        for _, partition in partitions:
            if partition not in self._owned:
                self._owned[partition] = self._begun(partition)

    def _taken(self, partitions: list[TopicPartition]) -> None:
        leaving = [self._owned.pop(p) for _, p in partitions if p in self._owned]
        for owned in leaving:
            owned.run.stop()
        for owned in leaving:
            owned.end()

    def _begun(self, partition: int) -> _Owned:
        faults = self._faults.setdefault(partition, {})
        return _Owned(PartitionRun(partition, self._around, faults))

    def _after(self, partition: int, failure: BaseException) -> int | None:
        """What follows the end of a run: nothing if the partition is another's by now.

        Asking the group first matters: fencing again without being the owner would shut out the
        rightful successor.
        """
        code = getattr(failure, "code", type(failure).__name__)
        log.warning("epoch_ended", partition=partition, code=code, error=failure)
        is_doubt = isinstance(failure, DOUBTS)
        if not is_doubt and not isinstance(failure, Fenced):
            return 1
        self._group.poll(1, 1.0)
        if (COMMANDS_INTAKE, partition) not in self._group.assignment():
            self._owned.pop(partition, None)
            return None
        if is_doubt:
            self._owned[partition] = self._begun(partition)
            return None
        # The broker says somebody newer writes here and the group says it is ours: two deciders
        # were started as one.
        return EXIT_FENCED

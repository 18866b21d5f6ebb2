"""The transaction coordinator inside the process: epochs, fencing, time-outs.

Rule 1: each `fence` of an id makes a new epoch and aborts what is open; older epochs are refused.
Rule 2: a transaction that stays open for longer than 15 s is aborted and its writer fenced, as the
real coordinator does, because an open one stops all readers of its partitions.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from plumbing.kafka.errors import BrokerError, Fenced
from plumbing.kafka.memory.partition import PartitionLog, Transaction
from plumbing.kafka.records import Outgoing

TRANSACTION_TIMEOUT: Final = timedelta(seconds=15)


@dataclass(slots=True)
class _Writer:
    epoch: int = 0
    transaction: Transaction | None = None


class Transactions:
    def __init__(self) -> None:
        self._writers: dict[str, _Writer] = {}

    def fence(self, transactional_id: str) -> int:
        writer = self._writers.setdefault(transactional_id, _Writer())
        _end(writer, is_committed=False)
        writer.epoch += 1
        return writer.epoch

    def begin(self, transactional_id: str, epoch: int, at: timedelta) -> None:
        writer = self._current(transactional_id, epoch)
        if writer.transaction is not None:
            raise BrokerError("INVALID_TXN_STATE")
        writer.transaction = Transaction(began_at=at)

    def append(
        self, transactional_id: str, epoch: int, log: PartitionLog, out: Outgoing, at: datetime
    ) -> None:
        writer = self._current(transactional_id, epoch)
        log.append(out, at, writer.transaction)

    def commit(self, transactional_id: str, epoch: int) -> None:
        _end(self._current(transactional_id, epoch), is_committed=True)

    def expire(self, now: timedelta) -> None:
        for writer in self._writers.values():
            transaction = writer.transaction
            if transaction is not None and now - transaction.began_at > TRANSACTION_TIMEOUT:
                _end(writer, is_committed=False)
                writer.epoch += 1

    def _current(self, transactional_id: str, epoch: int) -> _Writer:
        writer = self._writers[transactional_id]
        if writer.epoch != epoch:
            raise Fenced("INVALID_PRODUCER_EPOCH")
        return writer


def _end(writer: _Writer, *, is_committed: bool) -> None:
    transaction, writer.transaction = writer.transaction, None
    if transaction is None:
        return
    transaction.is_committed = is_committed
    for log in transaction.touched:
        log.close_transaction(transaction)

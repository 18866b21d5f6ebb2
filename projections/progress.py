"""The workers' signs of life, kept for whoever looks at a running request.

Rule 1: nothing follows from them: they are not decided, not rebuilt and not compared.
Rule 2: a reader begins at the end of the topic: a missed sign of life is made good by the next one.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from plumbing import telemetry
from plumbing.kafka import BrokerError, PositionLost, Record
from plumbing.kafka import Connection as Kafka
from plumbing.postgres import Connection, TupleRow, sql, unavailable_as_ours
from projections.database import LIVE
from projections.views.table import Table
from schemas.codec import UndecodableError, decode_as
from schemas.topics import PROGRESS
from schemas.wire import ProgressMessage

KEPT: Final = timedelta(hours=24)
BATCH: Final = 1000
TABLE: Final = Table(
    name="progress",
    columns=("order_id", "request_id", "worker", "source", "percent", "at"),
    key=("order_id",),
)
log = telemetry.get("projections")


class ProgressKeeper:
    """Follows the topic of progress into its table."""

    def __init__(self, kafka: Kafka, connection: Connection[TupleRow]) -> None:
        self._connection = connection
        with unavailable_as_ours():
            TABLE.stage(connection, LIVE)
        admin = kafka.admin()
        self._partitions = [(PROGRESS, p) for p in range(admin.describe(PROGRESS) or 0)]
        admin.close()
        if not self._partitions:
            raise BrokerError("UNKNOWN_TOPIC", is_retriable=True)
        self._reader = kafka.reader()
        self._start_at_end()

    def _start_at_end(self) -> None:
        self._reader.assign(self._reader.end_offsets(self._partitions))

    def step(self, timeout: float) -> int:
        """Keep the latest sign of life of each order; how many came."""
        try:
            records = self._reader.poll(BATCH, timeout)
        except PositionLost:
            self._start_at_end()
            return 0
        latest = {message.order_id: message for message in _messages(records)}
        if latest:
            self._keep(tuple(latest.values()))
        return len(records)

    def _keep(self, messages: tuple[ProgressMessage, ...]) -> None:
        rows = [(m.order_id, m.request_id, m.worker, m.source, m.percent, m.at) for m in messages]
        oldest = max(m.at for m in messages) - KEPT
        with (
            unavailable_as_ours(),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
        ):
            TABLE.replace(cursor, LIVE, rows, only_if="excluded.at >= progress.at")
            forget = sql.SQL("DELETE FROM {} WHERE at < %s")
            cursor.execute(forget.format(sql.Identifier(LIVE, TABLE.name)), (oldest,))

    def close(self) -> None:
        self._reader.close()


def _messages(records: Iterable[Record]) -> Iterable[ProgressMessage]:
    for record in records:
        try:
            yield decode_as(ProgressMessage, record.value or b"")
        except UndecodableError as failure:
            log.warning("progress_unreadable", offset=record.offset, code=failure.code)

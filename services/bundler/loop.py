"""Orders in, one after the other, until the process is asked to stop.

Rule 1: a record is committed only after its report is on the broker, or when there is nothing to
report any more; a crash before that repeats the order.
Rule 2: while the keyring, the broker or (for a removal) the store is away, the order is tried again
for as long as it is pending: the log says how long a request may wait.
"""

from typing import Final

from logbook.desk import Task
from logbook.following import Following
from logbook.orderbook import OrderBook
from plumbing import telemetry
from plumbing.failpoints import fp
from plumbing.kafka import BrokerError
from plumbing.objects import StoreRefused, StoreUnavailable
from plumbing.vault import VaultRefused, VaultUnavailable
from rights.export.state import Export
from rights.orders import RemoveBundle, SealBundle
from rights.reports import Report, ReportBundleFailed, ReportBundleRemoved, ReportExtentsGone
from schemas.topics import ORDERS_SEAL
from services.bundler.sealing import (
    FIRST_PAUSE_S,
    PAUSE_MAX_S,
    NotWantedError,
    SealFailedError,
    SealRun,
    SourceGoneError,
    Workshop,
)
from services.bundler.storing import prefix_of, sweep

LOOK_S: Final = 0.2
DECIDED_PATIENCE_S: Final = 5.0
log = telemetry.get("bundler")


class Bundler:
    """Carries out seal and remove orders."""

    def __init__(self, shop: Workshop, following: Following, book: OrderBook) -> None:
        self._shop = shop
        self._following = following
        self._book = book

    def run(self) -> None:
        self._shop.desk.open([ORDERS_SEAL])
        log.info("ready")
        while not self._shop.pause(0):
            task = self._shop.desk.take(LOOK_S)
            if task is not None and self.carry_out(task):
                self._settle(task)

    def _settle(self, task: Task) -> None:
        try:
            self._shop.desk.done(task)
        except BrokerError as failure:
            # After a rebalance the order comes again, to whoever has the partition now, and is
            # found to be no longer pending.
            log.warning("commit_failed", order_id=task.order.order_id, error=failure)

    def carry_out(self, task: Task) -> bool:
        """Whether the order is done with; False if the process is to stop before that."""
        fp("bundler.order_read")
        pause_s = FIRST_PAUSE_S
        while self._shop.desk.is_pending(task.order):
            try:
                report = self._answer(task)
            except NotWantedError:
                log.info("order_dropped", order_id=task.order.order_id)
                return not self._shop.pause(0)
            except (VaultUnavailable, VaultRefused, BrokerError, StoreUnavailable) as failure:
                log.warning("order_waits", order_id=task.order.order_id, error=failure)
            except StoreRefused as failure:
                log.error("order_waits", order_id=task.order.order_id, error=failure)
            else:
                self._say(task, report)
                return True
            if self._shop.pause(pause_s):
                return False
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
        return True

    def _answer(self, task: Task) -> Report:
        match task.order:
            case RemoveBundle() as order:
                return self._removed(order)
            case SealBundle() as order:
                return self._sealed(task, order)
            case other:
                raise AssertionError(f"no {type(other).__name__} is sent to the bundler")

    def _removed(self, order: RemoveBundle) -> Report:
        if not sweep(self._shop.store, order.request_id):
            raise StoreUnavailable("SomethingLeft")
        return ReportBundleRemoved(request_id=order.request_id, order_id=order.order_id)

    def _sealed(self, task: Task, order: SealBundle) -> Report:
        of = {"request_id": order.request_id, "order_id": order.order_id}
        try:
            return SealRun(self._shop, task, order).report()
        except SourceGoneError as gone:
            log.warning("extents_gone", **of, source=gone.source)
            return ReportExtentsGone(**of, source=gone.source)
        except SealFailedError as failed:
            log.error("seal_failed", **of, error=failed)
            return ReportBundleFailed(**of, code=failed.code)

    def _say(self, task: Task, report: Report) -> None:
        self._shop.reporter.send(self._shop.producer, task.order, report)
        fp("bundler.reported")
        kind = type(report).__name__
        log.info("order_answered", order_id=task.order.order_id, kind=kind)
        if isinstance(task.order, SealBundle):
            self._sweep_orphans(task.order)

    def _sweep_orphans(self, order: SealBundle) -> None:
        """Remove what earlier runs left behind, once the log says which object counts.

        Before that nothing may go: the report of another run may be on its way to the decider.
        What this misses goes with the archive itself.
        """
        try:
            if len(list(self._shop.store.keys(prefix_of(order.request_id)))) > 1:
                self._keep_only_decided(order)
        except (StoreUnavailable, StoreRefused) as failure:
            log.warning("orphans_left", order_id=order.order_id, error=failure)

    def _keep_only_decided(self, order: SealBundle) -> None:
        def is_decided() -> bool:
            return self._book.find(order.order_id) is None

        if not self._following.wait_until(is_decided, DECIDED_PATIENCE_S):
            return
        with self._following.lock:
            request = self._book.request(order.subject_ref, order.request_id)
        if isinstance(request, Export) and request.object_key is not None:
            sweep(self._shop.store, order.request_id, keep=[request.object_key])

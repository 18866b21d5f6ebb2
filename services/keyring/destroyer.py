"""Orders to destroy keys: marked at once, deleted one lease later, proved, and only then reported.

Rule 1 (K-5): a key is dead when nobody can still hold it, so deletion waits until the last lease
that can have been given has run out; many destructions wait at the same time.
Rule 2: nothing is kept in this process that a start would need: what is owed is read from the log,
what was marked from the database, and absent is success (F-21).
Rule 3: nothing is reported that the negative probe did not confirm.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from logbook.desk import Desk
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.failpoints import fp
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop
from rights.orders import DestroyKeys
from rights.reports import ReportKeysDestroyed
from schemas.topics import ORDERS_KEYS
from services.keyring.store.destruction import Destruction
from services.keyring.store.doom import Doom

_POLL_S: Final = 0.2
_PAUSE_S: Final = 1.0
log = telemetry.get("keyring.destroyer")


@dataclass(slots=True)
class _Dying:
    """An order on its way: not marked yet while `due` is None."""

    order: DestroyKeys
    doom: Doom
    due: timedelta | None = None
    fingerprints: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Doing:
    """What the destroyer acts through: `doom_of` reads the log, `report` tells the decider."""

    desk: Desk
    destruction: Destruction
    doom_of: Callable[[DestroyKeys], Doom]
    report: Callable[[DestroyKeys, ReportKeysDestroyed], None]


class Destroyer:
    """`turn` does one round, so that a test can take rounds one by one."""

    def __init__(self, doing: Doing, clock: Clock, lease: timedelta) -> None:
        self._doing = doing
        self._clock = clock
        self._lease = lease
        self._dying: dict[str, _Dying] = {}

    def resume(self, owed: Iterable[DestroyKeys]) -> None:
        """Take up what was owed when this process started, whether or not it is sent again."""
        for order in owed:
            self._accept(order)

    def open(self) -> None:
        self._doing.desk.open([ORDERS_KEYS])

    def run(self, stop: Stop) -> None:
        self.open()
        while not stop.is_set():
            try:
                self.turn(_POLL_S)
            except DatabaseUnavailable as error:
                # What was accepted is still in `_dying`, at the step that has to be repeated.
                log.warning("database_unavailable", error=error)
                stop.wait(_PAUSE_S)

    def turn(self, timeout: float) -> None:
        task = self._doing.desk.take(timeout)
        if task is not None:
            if isinstance(task.order, DestroyKeys):
                self._accept(task.order)
            else:
                log.error("order_not_ours", order_id=task.order.order_id)
            self._doing.desk.done(task)
        for dying in tuple(self._dying.values()):
            self._advance(dying)

    def _accept(self, order: DestroyKeys) -> None:
        if order.order_id not in self._dying:
            self._dying[order.order_id] = _Dying(order, self._doing.doom_of(order))

    def _advance(self, dying: _Dying) -> None:
        order = dying.order
        if dying.due is not None and self._clock.boot_time() < dying.due:
            return
        if not self._doing.desk.is_pending(order):
            # Done by somebody else, or the person is on hold: then it stays marked, and shut.
            del self._dying[order.order_id]
            log.info("order_not_pending", order_id=order.order_id)
            return
        if dying.due is None:
            dying.fingerprints = self._doing.destruction.begin(dying.doom)
            dying.due = self._clock.boot_time() + self._lease
            log.info("keys_dying", order_id=order.order_id, keys=len(dying.fingerprints))
            return
        self._doing.destruction.finish(dying.doom)
        self._doing.report(
            order,
            ReportKeysDestroyed(
                request_id=order.request_id,
                order_id=order.order_id,
                fingerprints=dying.fingerprints,
            ),
        )
        fp("keyring.reported")
        del self._dying[order.order_id]
        log.info("keys_destroyed", order_id=order.order_id, keys=len(dying.fingerprints))

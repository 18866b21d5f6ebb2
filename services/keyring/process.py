"""The keyring's parts, built by hand and started in the order that its third rule asks for."""

import os
import resource
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from starlette.applications import Starlette

from logbook.desk import Desk
from logbook.following import Follower, Following
from logbook.reporting import Reporter
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.kafka import Connection
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop, run_threads
from plumbing.web import serve
from rights.orders import DestroyKeys
from services.keyring.app import Parts, face
from services.keyring.config import KeyringConfig
from services.keyring.destroyer import Destroyer, Doing
from services.keyring.keeper import Keeper
from services.keyring.keyfiles import load_identity, load_kek
from services.keyring.standing import Standing
from services.keyring.store.cipher import Kek
from services.keyring.store.database import Database
from services.keyring.store.destruction import Destruction
from services.keyring.store.doom import Doom
from services.keyring.store.usage import Tally
from services.keyring.tokens import ServiceTokens

_COUNTS_EVERY_S: Final = 5.0
_GRACE: Final = timedelta(seconds=20)
log = telemetry.get("keyring")


def no_core_dumps() -> None:
    """A dead keyring leaves no image of its memory behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class KeyringProcess:
    """Everything between configuration and serving; `with` starts and ends it.

    Starting reads the log to its end and destroys again what it says was destroyed (F-41). Until
    then there is no `app`.
    """

    def __init__(self, config: KeyringConfig, connection: Connection, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._kek = Kek(load_kek(config.kek))
        self._identity = load_identity(config.identity)
        self._tokens = ServiceTokens(config.tokens.reveal())
        self._database = Database(config.postgres.reveal())
        self._destruction = Destruction(self._database, self._kek, clock)
        self._connection = connection
        self._standing = Standing(clock)
        self._tally = Tally(self._database, clock)

    def __enter__(self) -> Self:
        config = self._config
        with ExitStack() as started:
            started.callback(self._database.close)
            self._database.prepare(self._kek, config.log_id, self._clock.now())
            follower = Follower(self._connection, range(config.partitions), log_id=config.log_id)
            self._following = Following(follower, self._standing.apply)
            started.callback(self._following.stop)
            self._following.start()
            with self._following.lock:
                destroyed = self._standing.take_destroyed()
            self._destruction.reapply(destroyed)
            self._producer = self._connection.producer()
            started.callback(self._producer.close)
            self._group = self._connection.group("keyring", config.instance)
            started.callback(self._group.close)
            self.app = self._face()
            self.destroyer = self._destroyer()
            self._closing = started.pop_all()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def run(self, stop: Stop) -> int:
        """Serve and destroy until asked to stop; the process's exit code."""
        return run_threads(
            stop,
            {
                "web": lambda: serve(self.app, self._config.host, self._config.port, stop),
                "destroyer": lambda: self.destroyer.run(stop),
                "tally": lambda: self._count(stop),
            },
            grace=_GRACE,
        )

    def flush_counts(self) -> None:
        self._tally.flush()

    def _face(self) -> Starlette:
        return face(
            Parts(
                keeper=Keeper(self._database, self._kek, lease=self._config.lease_s),
                following=self._following,
                standing=self._standing,
                identity=self._identity,
                tally=self._tally,
                tokens=self._tokens,
                ping=self._database.answers,
            )
        )

    def _destroyer(self) -> Destroyer:
        reporter = Reporter(worker="keyring", clock=self._clock, entropy=os.urandom)
        desk = Desk(self._group, self._producer, self._following, self._standing.book, reporter)
        doing = Doing(
            desk=desk,
            destruction=self._destruction,
            doom_of=self._doom_of,
            report=lambda order, body: reporter.send(self._producer, order, body),
        )
        destroyer = Destroyer(doing, self._clock, self._config.lease_s)
        with self._following.lock:
            owed = self._standing.owed()
        destroyer.resume(owed)
        return destroyer

    def _doom_of(self, order: DestroyKeys) -> Doom:
        with self._following.lock:
            return self._standing.doom(order)

    def _count(self, stop: Stop) -> None:
        while True:
            stopping = stop.wait(_COUNTS_EVERY_S)
            try:
                self._tally.flush()
            except DatabaseUnavailable as error:
                log.warning("database_unavailable", error=error)
            if stopping:
                return

"""A keyring over a real database and a broker in memory, and its way in over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from plumbing.clock import ManualClock
from plumbing.config import Secret
from plumbing.kafka.memory import MemoryBroker
from plumbing.vault import HttpVault
from plumbing.web import WebServer
from services.keyring.config import KeyringConfig
from services.keyring.keyfiles import make_identity, make_kek
from services.keyring.process import KeyringProcess
from services.keyring.tokens import SERVICES
from tests.services.keyring.world import Dispatch, Log, broker, publish_to
from tests.support.log_writer import LOG_ID, START

LEASE = timedelta(seconds=2)


def token(service: str) -> str:
    return f"token-of-{service}-for-tests"


TOKENS = ",".join(f"{service}:{token(service)}" for service in sorted(SERVICES))


@dataclass
class Installation:
    """Everything that outlives a keyring: key files, database, broker, log and clock."""

    folder: Path
    dsn: str
    broker: MemoryBroker = field(default_factory=broker)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    log_id: str = LOG_ID

    def __post_init__(self) -> None:
        self.kek = self.folder / "kek"
        self.identity = self.folder / "identity"
        make_kek(self.kek)
        make_identity(self.identity)
        connection = self.broker.connection("decider")
        self.log = Log(publish_to(connection), self.clock)
        self.dispatch = Dispatch(connection, self.log)

    def config(self) -> KeyringConfig:
        return KeyringConfig(
            kafka="in memory",
            log_id=self.log_id,
            partitions=3,
            postgres=Secret(self.dsn),
            kek=self.kek,
            identity=self.identity,
            tokens=Secret(TOKENS),
            port=0,
            lease_s=LEASE,
        )

    @contextmanager
    def running(self) -> Iterator[Running]:
        """A keyring from start to stop."""
        with ExitStack() as held:
            process = held.enter_context(
                KeyringProcess(self.config(), self.broker.connection("keyring"), self.clock)
            )
            server = held.enter_context(WebServer(process.app, "127.0.0.1", 0))
            process.destroyer.open()
            running = Running(self, process, server.url)
            held.callback(running.close)
            yield running


@dataclass
class Running:
    installation: Installation
    process: KeyringProcess
    url: str
    _vaults: dict[str, HttpVault] = field(default_factory=dict)

    def client(self, service: str) -> HttpVault:
        if service not in self._vaults:
            self._vaults[service] = HttpVault(self.url, Secret(token(service)))
        return self._vaults[service]

    def close(self) -> None:
        for vault in self._vaults.values():
            vault.close()

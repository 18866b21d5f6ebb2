"""A whole installation: the stack, its databases and topics, its keys, the demo's data, services."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from devstack.launcher import PortBook
from devstack.launcher.errors import StackError
from devstack.products.loading import PEOPLE, databases, load, tenants
from devstack.services import (
    PARTITIONS,
    PRODUCT_SERVICE,
    SOURCES,
    Places,
    Secrets,
    identity_variable,
    processes,
)
from devstack.stack import Endpoints, Stack, StackSettings
from plumbing.kafka import KafkaConnection, TopicSpec
from plumbing.process import Stop
from proofs.keys import SigningKey
from schemas.topics import catalogue
from services.keyring.keyfiles import make_identity, make_kek

# Databases of our own; the demo's product and identity databases come on top.
OWN_DATABASES: Final = ("views", "keyring")
MADE_BY_DEMO: Final = "made-by-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs, and where."""

    stack: Stack
    endpoints: Endpoints
    places: Places
    secrets: Secrets

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(bootstrap=self.endpoints.kafka_bootstrap, client_id="devstack")


def topic_specs() -> list[TopicSpec]:
    return [
        TopicSpec(name=topic.name, partitions=PARTITIONS, config=topic.settings())
        for topic in catalogue(SOURCES, [PRODUCT_SERVICE])
    ]


def open_stack(settings: StackSettings, stop: Stop, say: Callable[[str], None]) -> Stack:
    return Stack(
        state=settings.state,
        cache=settings.jar_cache(say),
        people=PEOPLE,
        stop=stop,
        say=say,
    )


def bring_up(stack: Stack) -> Running:
    """Start everything; what is there already is left as it is.

    Raises:
        StackError: with a sentence and a next step; what this call started is stopped again.
    """
    endpoints = stack.start()
    for database in (*OWN_DATABASES, *databases()):
        stack.create_database(database)
    load(endpoints.postgres_dsn)
    ports = PortBook(stack.state / "ports.json")
    places = Places(
        state=stack.state,
        api_port=ports.port("request_api"),
        keyring_port=ports.port("keyring"),
        dashboard_port=ports.port("dashboard"),
    )
    _make_keys(places)
    _write_tenants(places)
    drawn = Secrets.of(stack.state)
    running = Running(stack=stack, endpoints=endpoints, places=places, secrets=drawn)
    admin = running.connection.admin()
    admin.ensure_topics(topic_specs())
    admin.close()
    stack.supervisor.add(processes(endpoints, places, drawn))
    stack.supervisor.start()
    return running


def begin_afresh(state: Path) -> None:
    """Remove what an earlier demo left; refuses to touch anything else.

    Raises:
        StackError: the folder holds an installation that no demo made.
    """
    mark = state / MADE_BY_DEMO
    if state.exists() and any(state.iterdir()):
        if not mark.exists():
            raise StackError(
                "state_in_use",
                f"{state} holds an installation that no demo made.",
                "Set HABEAS_STATE to another folder, or remove this one yourself.",
            )
        shutil.rmtree(state)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()


def _make_keys(places: Places) -> None:
    places.kek.parent.mkdir(mode=0o700, exist_ok=True)
    if not places.kek.exists():
        make_kek(places.kek)
    if not places.identity.exists():
        make_identity(places.identity)
    if not places.signing_key.exists():
        places.signing_key.touch(mode=0o600)
        places.signing_key.write_bytes(SigningKey.generate().pem())


def _write_tenants(places: Places) -> None:
    entries = {
        tenant: {
            "identity": f"${{{identity_variable(tenant)}}}",
            "product_services": [PRODUCT_SERVICE],
        }
        for tenant in tenants()
    }
    places.tenants.write_text(yaml.safe_dump({"tenants": entries}), encoding="utf-8")

"""The two vaults that must behave alike, each with a real log behind it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from plumbing.clock import ManualClock
from plumbing.vault import Identity, MemoryKeyring, Permit, Vault
from services.keyring.standing import Standing
from tests.services.keyring.running import Installation, Running
from tests.services.keyring.world import TENANT, Log
from tests.support.log_writer import START

_numbers = itertools.count(4711)


@dataclass
class Stage:
    """A log, what each service has for a vault, and a person whom nobody put before."""

    log: Log
    client: Callable[[str], Vault]
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def maya(self) -> Identity:
        return self.person(TENANT, "maya")

    def person(self, tenant: str, name: str) -> Identity:
        return Identity(tenant, f"{name}-{self.number}", f"{name}.{self.number}@example.org")

    def put_id(self, name: str) -> str:
        return f"put {name} of {self.number}"


def _memory() -> Stage:
    clock = ManualClock(START)
    standing = Standing(clock)
    seen = 0

    def tell(log: Log) -> None:
        nonlocal seen
        for entry in log.writer.entries[seen:]:
            standing.apply(entry)
        seen = len(log.writer.entries)

    def permit_of(order_or_grant_id: str) -> Permit | None:
        return standing.permit_for_order(order_or_grant_id) or standing.permit_for_grant(
            order_or_grant_id
        )

    return Stage(Log(tell, clock), MemoryKeyring(permit_of=permit_of).client)


@pytest.fixture(scope="session")
def running(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One keyring for all tests: each brings a person of its own."""
    folder = tmp_path_factory.mktemp("keyring")
    with Installation(folder, new_database()).running() as running:
        yield running


@pytest.fixture(params=["memory", "http"])
def stage(request: pytest.FixtureRequest) -> Stage:
    if request.param == "memory":
        return _memory()
    running: Running = request.getfixturevalue("running")
    return Stage(running.installation.log, running.client)


@pytest.fixture
def api(stage: Stage) -> Vault:
    return stage.client("request_api")


@pytest.fixture
def collectors(stage: Stage) -> Vault:
    return stage.client("collectors")


@pytest.fixture
def bundler(stage: Stage) -> Vault:
    return stage.client("bundler")

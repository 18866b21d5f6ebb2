"""The two brokers that must behave alike."""

import itertools
import secrets
from collections.abc import Callable, Iterator

import pytest

from plumbing.kafka import Connection, KafkaConnection
from plumbing.kafka.memory import MemoryBroker
from tests.contracts.kafka.stage import Stage

_numbers = itertools.count(1)
# Tests share a real broker, perhaps with those of another run.
_RUN = secrets.token_hex(4)


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """A name that nobody else uses."""
    return lambda what: f"contract.{_RUN}.{next(_numbers)}.{what}"


@pytest.fixture
def real(request: pytest.FixtureRequest) -> KafkaConnection:
    bootstrap: str = request.getfixturevalue("kafka_bootstrap")
    return KafkaConnection(bootstrap=bootstrap, client_id="contract")


@pytest.fixture(params=["memory", "real"])
def connection(request: pytest.FixtureRequest) -> Connection:
    if request.param == "memory":
        return MemoryBroker().connection("contract")
    connection: KafkaConnection = request.getfixturevalue("real")
    return connection


@pytest.fixture
def stage(connection: Connection, fresh: Callable[[str], str]) -> Iterator[Stage]:
    with Stage(connection, fresh) as stage:
        yield stage


@pytest.fixture
def real_stage(real: KafkaConnection, fresh: Callable[[str], str]) -> Iterator[Stage]:
    with Stage(real, fresh) as stage:
        yield stage

"""One world for all tests of the API: starting it takes longer than most of them do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from plumbing import failpoints
from plumbing.directory import Person
from tests.services.request_api.world import World


@pytest.fixture(scope="session")
def standing_world(new_database: Callable[[], str]) -> Iterator[World]:
    with World(new_database()) as world:
        yield world


@pytest.fixture
def world(standing_world: World) -> Iterator[World]:
    """Whole again after each test, whatever it took away."""
    yield standing_world
    failpoints.disarm()
    standing_world.fault = lambda _: None
    standing_world.keyring.fault = lambda: None
    standing_world.directory.fault = lambda: None
    standing_world.store.fault = lambda _: None


@pytest.fixture
def ines(world: World) -> Person:
    """A member, new in each test."""
    return world.person()


@pytest.fixture
def dana(world: World) -> Person:
    """An administrator, new in each test."""
    return world.person("admin")

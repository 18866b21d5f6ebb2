"""One installation for all of these tests; each of them invents people of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.services.dashboard.stage import Stage


@pytest.fixture(scope="session")
def stage(new_database: Callable[[], str]) -> Iterator[Stage]:
    with Stage(new_database()) as running:
        yield running

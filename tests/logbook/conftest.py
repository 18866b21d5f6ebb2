"""Each test its own broker and its own log."""

from collections.abc import Iterator

import pytest

from tests.logbook.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage

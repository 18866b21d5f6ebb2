"""A keyring, and everything around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.keyring.running import Installation, Running
from tests.services.keyring.world import Log


@pytest.fixture
def installation(tmp_path: Path, postgres_dsn: str) -> Installation:
    return Installation(tmp_path, postgres_dsn)


@pytest.fixture
def keyring(installation: Installation) -> Iterator[Running]:
    with installation.running() as running:
        yield running


@pytest.fixture
def log(installation: Installation) -> Log:
    return installation.log

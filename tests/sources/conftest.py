"""The clinic in a database of a test's own, and the source over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from sources.declaration import parse
from sources.postgres import PostgresSource
from tests.sources import clinic


@pytest.fixture(scope="session")
def standing_dsn(new_database: Callable[[], str]) -> str:
    """One clinic for all tests that change nothing."""
    dsn = new_database()
    with psycopg.connect(dsn) as connection:
        connection.execute(clinic.script().encode())
    return dsn


@pytest.fixture(scope="session")
def reader(standing_dsn: str) -> Iterator[PostgresSource]:
    made = PostgresSource(parse(clinic.DECLARATION), standing_dsn)
    yield made
    made.close()


@pytest.fixture
def clinic_dsn(postgres_dsn: str) -> str:
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute(clinic.script().encode())
    return postgres_dsn


@pytest.fixture
def source(clinic_dsn: str) -> Iterator[PostgresSource]:
    made = PostgresSource(parse(clinic.DECLARATION), clinic_dsn)
    yield made
    made.close()


@pytest.fixture
def database(clinic_dsn: str) -> Iterator[psycopg.Connection]:
    """The team's own way into its database."""
    with psycopg.connect(clinic_dsn, autocommit=True) as connection:
        yield connection

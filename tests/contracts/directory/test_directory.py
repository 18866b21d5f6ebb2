"""What every directory answers, from a list of people or from a tenant's own Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

import pytest

from plumbing.config import Secret
from plumbing.directory import (
    Directory,
    DirectoryUnavailable,
    MemoryDirectory,
    Person,
    PersonAmbiguous,
    PostgresDirectory,
    TenantUnknown,
)
from plumbing.postgres import connect, errors

INES = Person(
    stable_id="person-ines",
    email="ines@example.org",
    name="Inès Exemple",
    registered_on=date(2024, 2, 29),
    roles=("member",),
    handles={"stripe_customer": "cus_invented"},
)
OMAR = Person(
    stable_id="person-omar",
    email="omar@example.org",
    name="Omar Example",
    registered_on=date(2023, 1, 1),
    roles=("member", "admin"),
    handles={},
)
TWINS = tuple(
    Person(
        stable_id=f"person-twin-{number}",
        email="family@example.org",
        name="Twin Example",
        registered_on=date(2025, 1, 1),
        roles=(),
        handles={},
    )
    for number in (1, 2)
)
PEOPLE = (INES, OMAR, *TWINS)
TABLE = b"""
    CREATE TABLE person (stable_id text PRIMARY KEY, email text, name text,
                         registered_on date, roles text[], handles jsonb)
"""


@pytest.fixture
def identity_dsn(request: pytest.FixtureRequest) -> str:
    dsn: str = request.getfixturevalue("postgres_dsn")
    with connect(dsn) as connection:
        connection.execute(TABLE)
        for person in PEOPLE:
            connection.execute(
                "INSERT INTO person VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    person.stable_id,
                    person.email,
                    person.name,
                    person.registered_on,
                    list(person.roles),
                    json.dumps(dict(person.handles)),
                ],
            )
    return dsn


@pytest.fixture(params=["memory", "postgres"])
def directory(request: pytest.FixtureRequest) -> Iterator[Directory]:
    if request.param == "memory":
        yield MemoryDirectory({"acme": PEOPLE})
    else:
        real = PostgresDirectory({"acme": Secret(request.getfixturevalue("identity_dsn"))})
        yield real
        real.close()


def test_a_person_is_found_by_id_and_by_address(directory: Directory) -> None:
    assert directory.find("acme", stable_id="person-ines") == INES
    assert directory.find("acme", email="omar@example.org") == OMAR


def test_nobody_is_found_by_a_near_match(directory: Directory) -> None:
    for email in ("Ines@example.org", " ines@example.org", "ines@example.com", "%", ""):
        assert directory.find("acme", email=email) is None
    assert directory.find("acme", stable_id="person-iness") is None


def test_a_shared_address_is_not_guessed_at(directory: Directory) -> None:
    with pytest.raises(PersonAmbiguous):
        directory.find("acme", email="family@example.org")


def test_administrators_are_counted(directory: Directory) -> None:
    assert directory.administrators("acme") == 1


def test_an_unknown_tenant_is_no_empty_one(directory: Directory) -> None:
    with pytest.raises(TenantUnknown):
        directory.find("globex", email="ines@example.org")
    with pytest.raises(TenantUnknown):
        directory.administrators("globex")


def test_a_search_has_one_criterion(directory: Directory) -> None:
    with pytest.raises(ValueError, match="email or a stable_id"):
        directory.find("acme")
    with pytest.raises(ValueError, match="email or a stable_id"):
        directory.find("acme", email="ines@example.org", stable_id="person-ines")


def test_a_person_shows_nothing_of_themselves() -> None:
    shown = f"{INES} {INES!r} {[INES]}"

    for secret in ("ines", "Inès", "member", "2024", "cus_"):
        assert secret not in shown


def test_rows_with_gaps_are_people_too(identity_dsn: str) -> None:
    with connect(identity_dsn) as connection:
        connection.execute(
            b"INSERT INTO person VALUES ('person-bare', 'bare@example.org', '', '2026-01-01')"
        )
    directory = PostgresDirectory({"acme": Secret(identity_dsn)})

    found = directory.find("acme", stable_id="person-bare")
    directory.close()

    assert found is not None
    assert (found.roles, found.handles) == ((), {})


def test_the_directory_cannot_write(identity_dsn: str) -> None:
    directory = PostgresDirectory({"acme": Secret(identity_dsn)})
    with (
        pytest.raises(errors.ReadOnlySqlTransaction),
        directory._connected("acme") as connection,
    ):
        connection.execute(b"DELETE FROM person")
    directory.close()


def test_a_database_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbing.postgres.connections._CONNECT_SECONDS", 1)
    directory = PostgresDirectory({"acme": Secret("postgresql://habeas@127.0.0.1:9/none")})

    with pytest.raises(DirectoryUnavailable):
        directory.find("acme", stable_id="person-ines")
    directory.close()


def test_the_memory_directory_fails_where_told() -> None:
    def down() -> None:
        raise DirectoryUnavailable

    with pytest.raises(DirectoryUnavailable):
        MemoryDirectory({"acme": PEOPLE}, fault=down).find("acme", stable_id="person-ines")

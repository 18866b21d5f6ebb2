"""The demo's product databases and identity databases: made and filled once, then left alone.

A second start must not bring back what an erasure removed, so a database that was filled says so
in `demo_seed`, and is not touched again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from devstack.products.photos import sunrise
from plumbing.postgres import Connection, Jsonb, TupleRow, connect

HERE = Path(__file__).parent
PEOPLE = HERE / "people.yaml"
DECLARATIONS = (HERE / "journal.source.yaml", HERE / "billing.source.yaml")

# Two starters wait for each other here.
SEED_LOCK = 5124908811


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    tenant: str
    stable_id: str
    email: str
    name: str
    registered_on: date
    roles: tuple[str, ...]
    handles: Mapping[str, str]
    password: str


def people() -> tuple[DemoPerson, ...]:
    listed = yaml.safe_load(PEOPLE.read_text(encoding="utf-8"))["people"]
    return tuple(
        DemoPerson(
            tenant=entry["tenant"],
            stable_id=entry["sub"],
            email=entry["username"],
            name=entry["name"],
            registered_on=entry["registered_on"],
            roles=tuple(entry["roles"]),
            # Users are numbered per tenant, so a handle without its tenant names nobody.
            handles={**entry["handles"], "tenant": entry["tenant"]},
            password=entry["password"],
        )
        for entry in listed
    )


def tenants() -> Mapping[str, str]:
    """The demo's tenants, each with the name of its profile."""
    listed = yaml.safe_load(PEOPLE.read_text(encoding="utf-8"))["tenants"]
    return {entry["tenant"]: entry["profile"] for entry in listed}


def identity_database(tenant: str) -> str:
    return "identity_" + tenant.replace("-", "_")


def databases() -> tuple[str, ...]:
    """The names that `load` asks a connection string for."""
    return ("journal", "billing", *(identity_database(tenant) for tenant in tenants()))


def environment(dsn_for: Callable[[str], str]) -> dict[str, str]:
    """The variables that the declarations name."""
    return {"JOURNAL_DSN": dsn_for("journal"), "BILLING_DSN": dsn_for("billing")}


def load(dsn_for: Callable[[str], str]) -> None:
    """Make and fill the demo's databases; those that were filled before stay as they are."""
    _fill(dsn_for("journal"), _fill_journal)
    _fill(dsn_for("billing"), lambda connection: _run(connection, "billing.sql"))
    for tenant in tenants():
        _fill(dsn_for(identity_database(tenant)), _identity_of(tenant))


def _fill(dsn: str, fill: Callable[[Connection[TupleRow]], None]) -> None:
    with connect(dsn, application="habeas demo") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [SEED_LOCK])
        connection.execute("CREATE TABLE IF NOT EXISTS demo_seed (filled_at timestamptz NOT NULL)")
        if connection.execute("SELECT FROM demo_seed").fetchone() is None:
            fill(connection)
            connection.execute("INSERT INTO demo_seed VALUES (now())")


def _run(connection: Connection[TupleRow], file: str) -> None:
    # Bytes without parameters: several statements at once.
    connection.execute((HERE / file).read_bytes())


def _fill_journal(connection: Connection[TupleRow]) -> None:
    _run(connection, "journal.sql")
    # Whoever keeps a journal has added one picture to the first entry.
    first_entries = connection.execute(
        "SELECT DISTINCT ON (tenant, user_id) tenant, user_id, id, written_at "
        "FROM journal_entry ORDER BY tenant, user_id, id"
    ).fetchall()
    for tenant, user_id, entry_id, written_at in first_entries:
        connection.execute(
            "INSERT INTO journal_upload "
            "(tenant, user_id, entry_id, uploaded_at, file_name, media_type, content) "
            "VALUES (%s, %s, %s, %s, %s, 'image/png', %s)",
            (tenant, user_id, entry_id, written_at, "sunrise.png", sunrise(37 * entry_id % 256)),
        )


def _identity_of(tenant: str) -> Callable[[Connection[TupleRow]], None]:
    def fill(connection: Connection[TupleRow]) -> None:
        _run(connection, "identity.sql")
        connection.cursor().executemany(
            "INSERT INTO person (stable_id, email, name, registered_on, roles, handles) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (
                    person.stable_id,
                    person.email,
                    person.name,
                    person.registered_on,
                    list(person.roles),
                    Jsonb(person.handles),
                )
                for person in people()
                if person.tenant == tenant
            ],
        )

    return fill

"""A source, the object store or the mailer is away: the request waits by name, or fails with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from devstack.demo.visitor import Visitor
from devstack.mail import letters
from tests.support.installation import BASE, Installation
from tests.support.waiting import until

NORTHWIND = "northwind-care"


@contextmanager
def away(installation: Installation, database: str) -> Iterator[None]:
    """The database is renamed: as good as gone, and back unchanged."""
    admin = installation.running.endpoints.postgres_dsn("postgres")
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

    def renamed(one: str, other: str) -> bool:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(end, [one])
            try:
                connection.execute(rename.format(sql.Identifier(one), sql.Identifier(other)))
            except psycopg.errors.ObjectInUse:
                return False
        return True

    until(lambda: renamed(database, f"{database}_away"), 30)
    try:
        yield
    finally:
        until(lambda: renamed(f"{database}_away", database), 30)


def policy(installation: Installation, admin: Visitor, **values: object) -> None:
    body = {"profile": "workspace-admin", "package_format": "ZIP", **values}
    admin.post(f"{BASE}/policies", body, installation.key())


@pytest.fixture(scope="module")
def ada(installation: Installation) -> Iterator[Visitor]:
    """A person whose workspace waits for half a minute at most."""
    admin = installation.visit("Dana")
    policy(installation, admin, wait_max_seconds=30)
    admin.close()
    visitor = installation.visit("Ada")
    yield visitor
    visitor.close()


def file_export(installation: Installation, visitor: Visitor) -> str:
    filed = visitor.post(f"{BASE}/requests", {"type": "export"}, installation.key())
    reference: str = filed["reference"]
    return reference


def show(visitor: Visitor, reference: str) -> dict[str, object]:
    body: dict[str, object] = visitor.get(f"{BASE}/requests/{reference}")
    return body


def events(visitor: Visitor, reference: str) -> set[str]:
    return {row["event"] for row in visitor.get(f"{BASE}/requests/{reference}/timeline")}


def test_a_source_that_is_down_is_waited_for_by_name_and_goes_on_when_back(
    installation: Installation, ada: Visitor
) -> None:
    with away(installation, "journal"):
        reference = file_export(installation, ada)
        waiting = until(lambda: show(ada, reference)["waiting_for"], 30)
        assert str(waiting).startswith("journal: SOURCE_")
    until(lambda: show(ada, reference)["state"] == "COMPLETED", 60)


@pytest.mark.requirement("E0-38", "E0-39")
def test_a_source_that_stays_down_fails_the_request_with_that_reason(
    installation: Installation, ada: Visitor
) -> None:
    with away(installation, "journal"):
        reference = file_export(installation, ada)
        until(lambda: show(ada, reference)["state"] == "FAILED", 90)
    failed = show(ada, reference)

    assert failed["failed_source"] == "journal"
    assert str(failed["failure"]).startswith("SOURCE_")
    fresh = file_export(installation, ada)
    until(lambda: show(ada, fresh)["state"] == "COMPLETED", 60)


@pytest.mark.requirement("E4-T08")
def test_a_store_that_is_down_fails_the_export_without_a_letter(
    installation: Installation, ada: Visitor
) -> None:
    supervisor = installation.running.stack.supervisor
    folder = installation.running.endpoints.mail_folder
    earlier = file_export(installation, ada)
    until(lambda: "NoticeSent" in events(ada, earlier), 60)
    before = len(letters(folder))
    supervisor.kill("objects")
    reference = file_export(installation, ada)
    until(lambda: show(ada, reference)["state"] == "FAILED", 120)
    supervisor.restart("objects")

    assert show(ada, reference)["failure"] == "STORE_UNAVAILABLE"
    assert len(letters(folder)) == before
    fresh = file_export(installation, ada)
    until(lambda: show(ada, fresh)["state"] == "COMPLETED", 60)

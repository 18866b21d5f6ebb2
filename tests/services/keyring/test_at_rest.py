"""What somebody has who has the database: nothing that can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from plumbing.postgres import sql
from plumbing.vault import Field, Permit, Put
from proofs.failures import Tampered
from services.keyring.keeper import Keeper
from services.keyring.keyfiles import load_kek
from services.keyring.store.cipher import Kek
from services.keyring.store.database import Database
from tests.services.keyring.running import LEASE, Installation, Running
from tests.services.keyring.test_destruction import exported
from tests.services.keyring.world import MAYA, MAYA_HANDLES, REASON, Log, maya_fields
from tests.support.log_writer import TENANT as TENANT_REF

CANARIES = (
    "maya.lindqvist",
    "Maya",
    "Lindqvist",
    "account-4711",
    "u-88121",
    "telephone",
    "example.org",
)


@pytest.fixture
def database(installation: Installation) -> Iterator[Database]:
    made = Database(installation.dsn)
    yield made
    made.close()


def dump(database: Database) -> bytes:
    """Every row of every table, as text and as the raw bytes of its columns."""
    out = bytearray()
    with database.reading() as transaction:
        tables = transaction.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) >= 9
        for schema, table in tables:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
            for row in transaction.execute(query):
                for value in row:
                    out += value if isinstance(value, bytes) else str(value).encode()
                    out += b"\n"
    return bytes(out)


def permit(put: Put, *names: str) -> Permit:
    return Permit(
        services=frozenset(),
        subject_ref=put.subject_ref,
        tenant_ref=TENANT_REF,
        request_id="r",
        fields=tuple(put.vault_ids[name] for name in names),
    )


def keeper(installation: Installation, database: Database) -> Keeper:
    return Keeper(database, Kek(load_kek(installation.kek)), lease=LEASE)


def test_a_dumped_database_names_nobody(keyring: Running, database: Database, log: Log) -> None:
    exported(keyring, log)
    keyring.process.flush_counts()

    dumped = dump(database)

    assert len(dumped) > 1000
    assert [canary for canary in CANARIES if canary.lower().encode() in dumped.lower()] == []


def test_a_dumped_database_opens_with_its_key_encryption_key_only(
    keyring: Running, installation: Installation, database: Database
) -> None:
    put = keyring.client("request_api").put(MAYA, maya_fields(), "put")
    thief = Keeper(database, Kek(os.urandom(32)), lease=LEASE)

    opened = keeper(installation, database).open(permit(put, "handles"))
    with pytest.raises(Tampered):
        thief.open(permit(put, "handles"))
    with pytest.raises(Tampered):
        thief.find(MAYA.tenant, MAYA.stable_id, None)

    assert opened.fields == {put.vault_ids["handles"]: MAYA_HANDLES}


_OTHER_CIPHERTEXT = """
    UPDATE keyring.vault_row SET ciphertext =
        (SELECT ciphertext FROM keyring.vault_row WHERE vault_id = %({})s)
    WHERE vault_id = %(mine)s
"""
_TAMPERINGS = {
    "another person's row": _OTHER_CIPHERTEXT.format("theirs"),
    "another row of the person": _OTHER_CIPHERTEXT.format("other"),
    "a flipped bit": """
        UPDATE keyring.vault_row SET ciphertext =
            set_byte(ciphertext, 80, get_byte(ciphertext, 80) # 1)
        WHERE vault_id = %(mine)s
    """,
    "another person's wrapped key": """
        UPDATE keyring.subject_key SET wrapped =
            (SELECT wrapped FROM keyring.subject_key
             WHERE subject_ref = %(them)s AND purpose = 'work')
        WHERE subject_ref = %(me)s AND purpose = 'work'
    """,
    "another name": """
        UPDATE keyring.vault_row SET name = 'more ' || name WHERE vault_id = %(mine)s
    """,
}


@pytest.mark.parametrize("tampering", _TAMPERINGS.values(), ids=_TAMPERINGS.keys())
def test_rows_and_keys_do_not_open_elsewhere_than_where_they_were_put(
    keyring: Running, installation: Installation, database: Database, tampering: str
) -> None:
    api = keyring.client("request_api")
    more = {"second": Field("work", {"handles": {}})}
    mine = api.put(MAYA, maya_fields(**more), "mine")
    theirs = api.put(replace(MAYA, stable_id="account-12"), maya_fields(), "theirs")
    with database.writing() as transaction:
        transaction.execute(
            tampering.encode(),
            {
                "mine": mine.vault_ids["handles"],
                "theirs": theirs.vault_ids["handles"],
                "other": mine.vault_ids["second"],
                "me": mine.subject_ref,
                "them": theirs.subject_ref,
            },
        )

    with pytest.raises(Tampered):
        keeper(installation, database).open(permit(mine, "handles"))


def test_every_ciphertext_has_a_salt_of_its_own(keyring: Running, database: Database) -> None:
    api = keyring.client("request_api")
    for number in range(20):
        api.put(MAYA, {"reason": Field("audit", REASON)}, f"put {number}")

    with database.reading() as transaction:
        found = transaction.execute("SELECT ciphertext FROM keyring.vault_row").fetchall()

    # After the 21 bytes of the header.
    assert len({bytes(ciphertext)[21:45] for (ciphertext,) in found}) == 20


def test_a_subject_of_one_tenant_stays_shut_in_a_request_of_another(
    keyring: Running, installation: Installation, database: Database
) -> None:
    put = keyring.client("request_api").put(MAYA, maya_fields(), "put")
    foreign = replace(permit(put, "handles"), tenant_ref="0" * 32)

    with pytest.raises(Exception, match="NOT_FOUND"):
        keeper(installation, database).open(foreign)

"""What a keyring does before it serves anybody, and when it refuses to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from logbook.following import WrongLogError
from plumbing.postgres import sql
from plumbing.vault import Field
from rights.lifecycle import State
from rights.orders import DestroyKeys, KeyScope, SendNotice
from services.keyring.keyfiles import make_kek
from services.keyring.store.database import Database, WrongDatabase
from tests.services.keyring.running import LEASE, Installation, Running
from tests.services.keyring.test_destruction import count, destroy, erasing, exported
from tests.services.keyring.world import MAYA, REASON, TENANT, Log, maya_fields

# In the order in which they can be filled.
TABLES = (
    "tenant",
    "subject",
    "reference",
    "subject_key",
    "request_key",
    "vault_row",
    "destruction",
)


@pytest.fixture
def database(installation: Installation) -> Iterator[Database]:
    made = Database(installation.dsn)
    yield made
    made.close()


def back_up(database: Database) -> None:
    with database.writing() as transaction:
        transaction.execute("CREATE SCHEMA backup")
        for table in TABLES:
            transaction.execute(
                sql.SQL("CREATE TABLE {} AS TABLE {}").format(
                    sql.Identifier("backup", table), sql.Identifier("keyring", table)
                )
            )


def restore(database: Database) -> None:
    with database.writing() as transaction:
        for table in reversed(TABLES):
            transaction.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("keyring", table)))
        for table in TABLES:
            transaction.execute(
                sql.SQL("INSERT INTO {} SELECT * FROM {}").format(
                    sql.Identifier("keyring", table), sql.Identifier("backup", table)
                )
            )


def finish_erasure(running: Running, log: Log, ref: str) -> None:
    dispatch = running.installation.dispatch
    for scope in (KeyScope.CONTENT, KeyScope.COMMS):
        order = log.destruction(ref, scope)
        destroy(running, order)
        dispatch.decide(order)
        log.carry_out(ref, SendNotice)


def said(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == event]


def test_what_a_restored_backup_brings_back_is_destroyed_again_before_anybody_is_served(
    installation: Installation,
    database: Database,
    log: Log,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with installation.running() as keyring:
        ref = exported(keyring, log).ref
        filed = erasing(keyring, log)
        log.erase_up_to_keys(ref, filed.request_id)
        back_up(database)
        finish_erasure(keyring, log, ref)
    assert log.writer.request(ref, filed.request_id).state is State.COMPLETED
    restore(database)
    # The archive's three, and content, work and comms; the audit's is none of them.
    assert (count(database, "request_key"), count(database, "subject_key")) == (3, 4)
    capsys.readouterr()

    with installation.running() as keyring:
        assert keyring.client("request_api").find(TENANT, MAYA.stable_id) is None
        assert (count(database, "request_key"), count(database, "subject_key")) == (0, 1)
        again = keyring.client("request_api").put(MAYA, maya_fields(), "years later")

    assert again.subject_ref != ref
    (alarm,) = said(capsys, "key_resurrected")
    assert (alarm["level"], alarm["keys"]) == ("error", 6)


def test_a_restored_request_key_is_destroyed_again(
    installation: Installation,
    database: Database,
    log: Log,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with installation.running() as keyring:
        order = log.expire(exported(keyring, log).ref)
        back_up(database)
        destroy(keyring, order)
        installation.dispatch.decide(order)
    restore(database)

    with installation.running():
        assert count(database, "request_key") == 0
        # The reasons stay.
        assert count(database, "vault_row") == 1

    assert [alarm["keys"] for alarm in said(capsys, "key_resurrected")] == [3]


def test_a_start_without_a_restored_backup_raises_no_alarm(
    installation: Installation, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    with installation.running() as keyring:
        filed = erasing(keyring, log)
        order = log.erase_up_to_keys(filed.ref, filed.request_id)
        destroy(keyring, order)
        installation.dispatch.decide(order)
        # Put after the content keys died and before the letters': it will never be filed.
        keyring.client("request_api").put(MAYA, maya_fields(), "in between")

    with installation.running():
        pass

    assert said(capsys, "key_resurrected") == []


def test_what_is_alive_survives_a_start(installation: Installation, log: Log) -> None:
    with installation.running() as keyring:
        first = exported(keyring, log, "first")
        order = log.expire(first.ref)
        destroy(keyring, order)
        installation.dispatch.decide(order)
        second = exported(keyring, log, "second")
        grant_id = log.grant(second.ref, second.request_id)

    with installation.running() as keyring:
        opened = keyring.client("request_api").open(grant_id=grant_id, at=log.at(second.ref))

    assert opened.keys.keys() == {"archive"}


def test_a_destruction_that_was_waiting_is_taken_up_again(
    installation: Installation, database: Database, log: Log
) -> None:
    with installation.running() as keyring:
        log.expire(exported(keyring, log).ref)

    with installation.running() as keyring:
        keyring.process.destroyer.turn(0.0)
        installation.clock.advance(LEASE)
        keyring.process.destroyer.turn(0.0)

    assert count(database, "request_key") == 0


def test_another_key_encryption_key_is_refused(installation: Installation) -> None:
    with installation.running():
        pass
    installation.kek.unlink()
    make_kek(installation.kek)

    with pytest.raises(WrongDatabase, match="another key-encryption key"), installation.running():
        pass


def test_the_keyring_of_another_log_is_refused(installation: Installation) -> None:
    with installation.running():
        pass
    installation.log_id = "0" * 32

    with pytest.raises(WrongDatabase, match="another log"), installation.running():
        pass


def test_another_log_is_refused(installation: Installation) -> None:
    installation.log_id = "0" * 32

    with pytest.raises(WrongLogError), installation.running():
        pass


def test_a_long_wait_in_the_past_does_not_shorten_the_lease(
    installation: Installation, database: Database, log: Log
) -> None:
    """Nobody knows what was leased before a crash, so the whole lease is waited for again."""
    with installation.running() as keyring:
        order = log.expire(exported(keyring, log).ref)
        installation.dispatch.send(order)
        keyring.process.destroyer.turn(1.0)
        installation.clock.advance(LEASE - timedelta(milliseconds=1))

    with installation.running() as keyring:
        keyring.process.destroyer.turn(0.0)
        installation.clock.advance(timedelta(milliseconds=1))
        keyring.process.destroyer.turn(0.0)

        assert count(database, "request_key") == 3


def test_the_audit_s_rows_survive_a_start_after_the_erasure(
    installation: Installation, database: Database, log: Log
) -> None:
    with installation.running() as keyring:
        fields = maya_fields(reason=Field("audit", REASON))
        put = keyring.client("request_api").put(MAYA, fields, "erasure")
        request_id = log.file_erasure(put)
        log.erase_up_to_keys(put.subject_ref, request_id)
        finish_erasure(keyring, log, put.subject_ref)
        assert log.orders(put.subject_ref, DestroyKeys) == []

    with installation.running():
        assert (count(database, "vault_row"), count(database, "reference")) == (1, 0)

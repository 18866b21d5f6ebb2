"""Keys are marked, waited for, deleted, proved and reported; a crash anywhere only repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from plumbing import failpoints
from plumbing.postgres import sql
from plumbing.vault import Field, Permit, Put, VaultRefused, VaultUnavailable
from rights.lifecycle import State
from rights.orders import CollectSections, DestroyKeys, KeyScope, SealBundle, SendNotice
from rights.reports import ReportKeysDestroyed
from schemas.codec import decode
from services.keyring.keeper import Keeper
from services.keyring.keyfiles import load_kek
from services.keyring.store.cipher import Kek, fingerprint_of
from services.keyring.store.database import Database
from services.keyring.store.destruction import NotDestroyedError
from tests.services.keyring.running import LEASE, Installation, Running
from tests.services.keyring.world import (
    CONTENTS,
    MAYA,
    REASON,
    TENANT,
    Log,
    maya_fields,
    open_for,
)
from tests.support.log_writer import TENANT as TENANT_REF
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


@pytest.fixture
def database(installation: Installation) -> Iterator[Database]:
    made = Database(installation.dsn)
    yield made
    made.close()


@pytest.fixture
def keeper(installation: Installation, database: Database) -> Keeper:
    """The vault behind the permits: what would be opened if the log allowed it."""
    return Keeper(database, Kek(load_kek(installation.kek)), lease=LEASE)


@dataclass(frozen=True)
class Filed:
    put: Put
    request_id: str

    @property
    def ref(self) -> str:
        return self.put.subject_ref

    def permit(self, *names: str, keys: tuple[str, ...] = ()) -> Permit:
        return Permit(
            services=frozenset({"nobody"}),
            subject_ref=self.ref,
            tenant_ref=TENANT_REF,
            request_id=self.request_id,
            fields=tuple(self.put.vault_ids[name] for name in names),
            needs=keys,
        )


def exported(running: Running, log: Log, put_id: str = "export") -> Filed:
    """An export, collected and sealed, with its contents in the vault."""
    fields = maya_fields(reason=Field("audit", REASON))
    put = running.client("request_api").put(MAYA, fields, put_id)
    filed = Filed(put, log.file_export(put))
    for collect in log.orders(filed.ref, CollectSections):
        open_for(running.client("collectors"), log, collect)
    log.carry_out(filed.ref, CollectSections)
    order = log.order(filed.ref, SealBundle)
    open_for(running.client("bundler"), log, order)
    ids = running.client("bundler").put_for(
        filed.ref,
        filed.request_id,
        {"contents": Field("content", CONTENTS)},
        order.order_id,
        order_id=order.order_id,
    )
    log.seal(order, ids["contents"])
    return replace(filed, put=Put(put.subject_ref, {**put.vault_ids, **ids}))


def erasing(running: Running, log: Log) -> Filed:
    fields = maya_fields(reason=Field("audit", REASON))
    put = running.client("request_api").put(MAYA, fields, "erasure")
    return Filed(put, log.file_erasure(put))


def turns(running: Running, order: DestroyKeys) -> None:
    """Send an order and let the destroyer take it."""
    running.installation.dispatch.send(order)
    running.process.destroyer.turn(1.0)


def destroy(running: Running, order: DestroyKeys) -> None:
    turns(running, order)
    running.installation.clock.advance(LEASE)
    running.process.destroyer.turn(0.0)


def reported(installation: Installation) -> list[ReportKeysDestroyed]:
    return [decode(message.body) for message in installation.dispatch.reports()]


def refusal(keeper: Keeper, permit: Permit) -> str:
    with pytest.raises(VaultRefused) as refused:
        keeper.open(permit)
    return refused.value.code


def test_from_the_first_moment_nothing_of_it_is_opened(
    keyring: Running, keeper: Keeper, log: Log
) -> None:
    filed = exported(keyring, log)
    order = log.expire(filed.ref)
    whole = filed.permit("handles", "comms", "contents", keys=("journal", "archive"))
    assert len(keeper.open(whole).fields) == 3

    turns(keyring, order)

    for name in ("handles", "comms", "contents"):
        assert refusal(keeper, filed.permit(name)) == "KEY_DESTROYED"
    for key in ("journal", "billing", "archive"):
        assert refusal(keeper, filed.permit(keys=(key,))) == "KEY_DESTROYED"


def test_nothing_is_deleted_or_reported_before_the_last_lease_has_run_out(
    keyring: Running, installation: Installation, database: Database, log: Log
) -> None:
    order = log.expire(exported(keyring, log).ref)
    turns(keyring, order)

    installation.clock.advance(LEASE - timedelta(milliseconds=1))
    keyring.process.destroyer.turn(0.0)

    assert count(database, "request_key") == 3
    assert reported(installation) == []


def test_after_the_lease_keys_and_rows_are_gone_and_the_report_names_the_keys(
    keyring: Running, installation: Installation, database: Database, log: Log
) -> None:
    filed = exported(keyring, log)
    with database.reading() as transaction:
        ids = transaction.execute("SELECT key_id FROM keyring.request_key").fetchall()
    order = log.expire(filed.ref)

    destroy(keyring, order)

    (report,) = reported(installation)
    assert set(report.fingerprints) == {fingerprint_of(bytes(key_id)) for (key_id,) in ids}
    assert (report.order_id, report.request_id) == (order.order_id, filed.request_id)
    assert count(database, "request_key") == 0


def test_the_end_of_a_request_leaves_reasons_and_other_requests_alone(
    keyring: Running, keeper: Keeper, log: Log
) -> None:
    first = exported(keyring, log, "first")
    order = log.expire(first.ref)
    second = exported(keyring, log, "second")

    destroy(keyring, order)

    assert list(keeper.open(first.permit("reason")).fields.values()) == [REASON]
    whole = second.permit("handles", "comms", "contents", keys=("journal", "archive"))
    assert len(keeper.open(whole).fields) == 3
    assert refusal(keeper, first.permit("contents")) == "KEY_DESTROYED"


def test_an_order_cannot_destroy_rows_of_another_person(
    keyring: Running, database: Database, log: Log
) -> None:
    theirs = keyring.client("request_api").put(
        replace(MAYA, stable_id="account-12"), maya_fields(), "theirs"
    )
    mine = keyring.client("request_api").put(MAYA, maya_fields(), "mine")
    # A filing that names somebody else's rows as its own.
    log.file_export(Put(mine.subject_ref, theirs.vault_ids))
    order = log.expire(mine.subject_ref)

    destroy(keyring, order)

    with database.reading() as transaction:
        left = transaction.execute(
            "SELECT count(*) FROM keyring.vault_row WHERE subject_ref = %s", [theirs.subject_ref]
        ).fetchone()
    assert left == (2,)


def test_an_erasure_destroys_content_first_and_letters_last(
    keyring: Running, installation: Installation, keeper: Keeper, log: Log
) -> None:
    before = exported(keyring, log)
    filed = erasing(keyring, log)
    content = log.erase_up_to_keys(filed.ref, filed.request_id)

    destroy(keyring, content)

    assert refusal(keeper, filed.permit("handles")) == "KEY_DESTROYED"
    assert refusal(keeper, before.permit(keys=("archive",))) == "KEY_DESTROYED"
    assert keeper.open(filed.permit("comms")).fields

    installation.dispatch.decide(content)
    notice = log.order(filed.ref, SendNotice)
    assert open_for(keyring.client("notifier"), log, notice).fields
    log.carry_out(filed.ref, SendNotice)
    comms = log.destruction(filed.ref, KeyScope.COMMS)
    destroy(keyring, comms)
    installation.dispatch.decide(comms)

    assert refusal(keeper, filed.permit("comms")) == "KEY_DESTROYED"
    assert log.writer.request(filed.ref, filed.request_id).state is State.COMPLETED
    assert keyring.client("request_api").find(TENANT, MAYA.stable_id) is None
    assert keyring.client("request_api").find(TENANT, email=MAYA.email) is None


def test_reasons_outlive_the_erasure(
    keyring: Running, installation: Installation, keeper: Keeper, log: Log
) -> None:
    filed = erased(keyring, installation, log)

    assert list(keeper.open(filed.permit("reason")).fields.values()) == [REASON]


def test_who_comes_back_after_an_erasure_is_somebody_new(
    keyring: Running, installation: Installation, log: Log
) -> None:
    filed = erased(keyring, installation, log)

    again = keyring.client("request_api").put(MAYA, maya_fields(), "years later")

    assert again.subject_ref != filed.ref


def test_while_a_person_is_being_forgotten_nothing_is_put_under_the_old_reference(
    keyring: Running, log: Log
) -> None:
    filed = erasing(keyring, log)
    turns(keyring, log.erase_up_to_keys(filed.ref, filed.request_id))

    with pytest.raises(VaultUnavailable) as unavailable:
        keyring.client("request_api").put(MAYA, maya_fields(), "too late")

    assert unavailable.value.code == "BEING_FORGOTTEN"


def test_an_order_that_the_log_does_not_know_destroys_nothing(
    keyring: Running, installation: Installation, database: Database, log: Log
) -> None:
    filed = exported(keyring, log)
    order = log.expire(filed.ref)

    destroy(keyring, replace(order, order_id="f" * 32))

    assert count(database, "request_key") == 3
    assert reported(installation) == []


def test_an_order_that_is_no_longer_pending_when_the_lease_is_over_destroys_nothing(
    keyring: Running, installation: Installation, database: Database, log: Log
) -> None:
    filed = exported(keyring, log)
    order = log.expire(filed.ref)
    turns(keyring, order)
    log.carry_out(filed.ref, DestroyKeys)
    installation.clock.advance(LEASE)

    caught_up(keyring, order)
    keyring.process.destroyer.turn(0.0)

    assert count(database, "request_key") == 3
    assert reported(installation) == []


def test_a_repeated_order_finds_nothing_left_and_succeeds(
    keyring: Running, installation: Installation, log: Log
) -> None:
    order = log.expire(exported(keyring, log).ref)

    destroy(keyring, order)
    destroy(keyring, order)

    first, second = reported(installation)
    assert second.fingerprints == first.fingerprints


def test_many_destructions_wait_for_the_same_lease(
    keyring: Running, installation: Installation, database: Database, log: Log
) -> None:
    orders = [log.expire(exported(keyring, log, f"put {number}").ref) for number in range(5)]
    keyring.process.destroyer.resume(log.orders(orders[0].subject_ref, DestroyKeys))
    keyring.process.destroyer.turn(0.0)

    installation.clock.advance(LEASE)
    keyring.process.destroyer.turn(0.0)

    assert len(reported(installation)) == 5
    assert count(database, "request_key") == 0


@pytest.mark.parametrize("where", ["keyring.dying", "keyring.deleted", "keyring.reported"])
def test_a_crash_at_any_step_ends_in_the_same_destruction(
    installation: Installation, database: Database, log: Log, where: str
) -> None:
    with installation.running() as keyring:
        order = log.expire(exported(keyring, log).ref)
        fingerprints = sorted(key_fingerprints(database))
        failpoints.arm(f"{where}:1:err")
        with pytest.raises(failpoints.FailpointError):
            destroy(keyring, order)

    # It is taken up again although nobody sends the order a second time.
    with installation.running() as restarted:
        restarted.process.destroyer.turn(0.0)
        installation.clock.advance(LEASE)
        restarted.process.destroyer.turn(0.0)

    assert count(database, "request_key") == 0
    assert sorted(reported(installation)[-1].fingerprints) == fingerprints


def test_what_was_dying_before_a_crash_stays_shut_after_it(
    installation: Installation, keeper: Keeper, log: Log
) -> None:
    with installation.running() as keyring:
        filed = exported(keyring, log)
        failpoints.arm("keyring.dying:1:err")
        with pytest.raises(failpoints.FailpointError):
            turns(keyring, log.expire(filed.ref))

    with installation.running():
        assert refusal(keeper, filed.permit("contents")) == "KEY_DESTROYED"


def test_a_deletion_that_did_not_happen_is_never_reported(
    keyring: Running, installation: Installation, database: Database, log: Log
) -> None:
    order = log.expire(exported(keyring, log).ref)
    with database.writing() as transaction:
        # A server that says it deleted and did not.
        transaction.execute(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
        transaction.execute(
            "CREATE TRIGGER keep BEFORE DELETE ON keyring.request_key"
            " FOR EACH ROW EXECUTE FUNCTION keep()"
        )

    with pytest.raises(NotDestroyedError):
        destroy(keyring, order)

    assert reported(installation) == []


def erased(running: Running, installation: Installation, log: Log) -> Filed:
    filed = erasing(running, log)
    log.erase_up_to_keys(filed.ref, filed.request_id)
    while orders := log.orders(filed.ref, DestroyKeys):
        destroy(running, orders[0])
        installation.dispatch.decide(orders[0])
        log.carry_out(filed.ref, SendNotice)
    return filed


def caught_up(running: Running, order: DestroyKeys) -> None:
    """Wait until the keyring has read that the order is not pending any more."""
    desk = running.process.destroyer._doing.desk
    until(lambda: not desk.is_pending(order), 10)


def key_fingerprints(database: Database) -> list[str]:
    with database.reading() as transaction:
        found = transaction.execute("SELECT key_id FROM keyring.request_key").fetchall()
    return [fingerprint_of(bytes(key_id)) for (key_id,) in found]


def count(database: Database, table: str) -> int:
    with database.reading() as transaction:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("keyring", table))
        found = transaction.execute(query).fetchone()
    assert found
    return int(found[0])

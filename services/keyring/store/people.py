"""The reference index: which subject_ref a person has, by keyed hashes of who they are (K-6).

Rule 1: a subject_ref is drawn, never computed, so that nobody can compute it again once the rows
are gone.
Rule 2: minting one person is serialised by a lock on that person, so that two callers get one ref.
"""

from typing import Final

from plumbing.postgres import TupleRow
from plumbing.vault import Identity, VaultRefused
from proofs.keys import commit
from services.keyring.store.cipher import EPOCH, KEY_BYTES, Kek
from services.keyring.store.database import Transaction

REF_BYTES: Final = 16
STABLE_ID: Final = "stable_id"
EMAIL: Final = "email"


def subject_for(transaction: Transaction, kek: Kek, identity: Identity) -> str:
    """The person's subject_ref, minted if there is none; locks the person until the end."""
    pepper = _pepper(transaction, kek, identity.tenant) or _make_pepper(
        transaction, kek, identity.tenant
    )
    index = _index(pepper, identity.tenant, STABLE_ID, identity.stable_id)
    transaction.execute(
        "SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(index[:8], "big", signed=True)]
    )
    ref = _one(_lookup(transaction, STABLE_ID, index)) or _mint(transaction, kek, identity, index)
    lock(transaction, ref)
    if identity.email is not None:
        email_index = _index(pepper, identity.tenant, EMAIL, identity.email)
        _know_by_email(transaction, ref, email_index)
    return ref


def lock(transaction: Transaction, subject_ref: str) -> str | None:
    """Hold everything else about this person back until the end; the tenant, if there is such."""
    found = transaction.execute(
        "SELECT tenant FROM keyring.subject WHERE subject_ref = %s FOR UPDATE", [subject_ref]
    ).fetchone()
    return None if found is None else str(found[0])


def tenant_of(transaction: Transaction, subject_ref: str) -> str | None:
    found = transaction.execute(
        "SELECT tenant FROM keyring.subject WHERE subject_ref = %s", [subject_ref]
    ).fetchone()
    return None if found is None else str(found[0])


def find(transaction: Transaction, kek: Kek, tenant: str, kind: str, value: str) -> str | None:
    """The subject_ref, if there is one.

    Raises:
        VaultRefused: several people have the e-mail address; choosing would be guessing.
    """
    pepper = _pepper(transaction, kek, tenant)
    if pepper is None:
        return None
    found = _lookup(transaction, kind, _index(pepper, tenant, kind, value))
    if len(found) > 1:
        raise VaultRefused("AMBIGUOUS")
    return _one(found)


def _lookup(transaction: Transaction, kind: str, index: bytes) -> list[TupleRow]:
    return transaction.execute(
        "SELECT subject_ref FROM keyring.reference WHERE kind = %s AND index = %s", [kind, index]
    ).fetchall()


def _one(found: list[TupleRow]) -> str | None:
    return str(found[0][0]) if found else None


def _mint(transaction: Transaction, kek: Kek, identity: Identity, index: bytes) -> str:
    ref = kek.entropy(REF_BYTES).hex()
    transaction.execute(
        "INSERT INTO keyring.subject (subject_ref, tenant) VALUES (%s, %s)", [ref, identity.tenant]
    )
    transaction.execute(
        "INSERT INTO keyring.reference (kind, index, subject_ref) VALUES (%s, %s, %s)",
        [STABLE_ID, index, ref],
    )
    return ref


def _know_by_email(transaction: Transaction, ref: str, index: bytes) -> None:
    transaction.execute(
        "DELETE FROM keyring.reference WHERE subject_ref = %s AND kind = %s AND index <> %s",
        [ref, EMAIL, index],
    )
    transaction.execute(
        "INSERT INTO keyring.reference (kind, index, subject_ref) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [EMAIL, index, ref],
    )


def _pepper(transaction: Transaction, kek: Kek, tenant: str) -> bytes | None:
    found = transaction.execute(
        "SELECT pepper FROM keyring.tenant WHERE tenant = %s", [tenant]
    ).fetchone()
    return None if found is None else kek.unwrap(bytes(found[0]), "tenant", tenant, "pepper")


def _make_pepper(transaction: Transaction, kek: Kek, tenant: str) -> bytes:
    wrapped = kek.wrap(kek.entropy(KEY_BYTES), "tenant", tenant, "pepper")
    transaction.execute(
        "INSERT INTO keyring.tenant (tenant, epoch, pepper) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [tenant, EPOCH, wrapped],
    )
    # Another may have been quicker; then that one's pepper is the tenant's.
    pepper = _pepper(transaction, kek, tenant)
    if pepper is None:
        raise AssertionError("a pepper was just written")
    return pepper


def _index(pepper: bytes, tenant: str, kind: str, value: str) -> bytes:
    return commit(pepper, "habeas/ref/v1", tenant, kind, value)

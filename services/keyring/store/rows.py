"""Vault rows: what people can read, as ciphertext."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plumbing.vault import Field, VaultRefused
from services.keyring.store.cipher import HeldKey, Kek, Place, open_row, seal_row
from services.keyring.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Row:
    """A row as stored."""

    place: Place
    ciphertext: bytes
    is_dying: bool

    def open(self, held: Mapping[str, HeldKey]) -> dict[str, Any]:
        return open_row(held[self.place.purpose], self.place, self.ciphertext)


def already_put(
    transaction: Transaction,
    put_id: str,
    subject_ref: str,
    request_id: str | None,
    names: Sequence[str],
) -> dict[str, str] | None:
    """The vault ids that this put was answered with before, or None if it is new.

    Raises:
        VaultRefused: the put id stands for something else.
    """
    found = transaction.execute(
        "SELECT name, vault_id, subject_ref, request_id FROM keyring.vault_row WHERE put_id = %s",
        [put_id],
    ).fetchall()
    if not found:
        return None
    of_whom = {(ref, request) for _, _, ref, request in found}
    ids = {name: vault_id for name, vault_id, _, _ in found}
    if of_whom != {(subject_ref, request_id)} or ids.keys() != set(names):
        raise VaultRefused("PUT_MISMATCH")
    return ids


def store(
    transaction: Transaction,
    kek: Kek,
    held: Mapping[str, HeldKey],
    whose: tuple[str, str, str | None],
    fields: Mapping[str, Field],
    put_id: str,
) -> dict[str, str]:
    """Seal and write each field; `whose` is tenant, subject_ref and request_id."""
    tenant, subject_ref, request_id = whose
    ids: dict[str, str] = {}
    for name, field in fields.items():
        place = Place(
            tenant=tenant,
            subject_ref=subject_ref,
            request_id=request_id,
            purpose=str(field.purpose),
            name=name,
            vault_id=kek.entropy(16).hex(),
        )
        sealed = seal_row(held[place.purpose], place, dict(field.value), entropy=kek.entropy)
        transaction.execute(
            "INSERT INTO keyring.vault_row"
            " (vault_id, subject_ref, request_id, purpose, name, put_id, ciphertext)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [place.vault_id, subject_ref, request_id, place.purpose, name, put_id, sealed],
        )
        ids[name] = place.vault_id
    return ids


def load(
    transaction: Transaction, tenant: str, subject_ref: str, vault_ids: Sequence[str]
) -> dict[str, Row]:
    """The subject's rows by these ids, as far as there are any."""
    found = transaction.execute(
        "SELECT vault_id, request_id, purpose, name, ciphertext, state FROM keyring.vault_row"
        " WHERE subject_ref = %s AND vault_id = ANY (%s)",
        [subject_ref, list(vault_ids)],
    ).fetchall()
    return {
        vault_id: Row(
            Place(
                tenant=tenant,
                subject_ref=subject_ref,
                request_id=request_id,
                purpose=purpose,
                name=name,
                vault_id=vault_id,
            ),
            bytes(ciphertext),
            state == "dying",
        )
        for vault_id, request_id, purpose, name, ciphertext, state in found
    }

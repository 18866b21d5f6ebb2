"""Put, find and open: what callers ask of the keyring, each in its own transaction.

It opens what a permit says; whether there is one is said by the log (`standing`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from plumbing.failpoints import fp
from plumbing.postgres import errors
from plumbing.vault import (
    Field,
    Identity,
    Opened,
    Permit,
    Purpose,
    Put,
    VaultRefused,
    VaultUnavailable,
)
from rights.references import tenant_ref
from services.keyring.store import doom, keys, people, rows
from services.keyring.store.cipher import HeldKey, Kek
from services.keyring.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class _Found:
    fields: Mapping[str, Mapping[str, Any]]
    keys: Mapping[str, HeldKey]


class Keeper:
    """The vault's contents; safe to share between threads."""

    def __init__(self, database: Database, kek: Kek, *, lease: timedelta) -> None:
        self._database = database
        self._kek = kek
        self._lease = lease

    def put(self, identity: Identity, fields: Mapping[str, Field], put_id: str) -> Put:
        try:
            with self._database.writing() as transaction:
                answer = self._put(transaction, identity, fields, put_id)
        except errors.UniqueViolation:
            # The same put id at the same moment, for somebody else.
            raise VaultRefused("PUT_MISMATCH") from None
        fp("keyring.put")
        return answer

    def _put(
        self,
        transaction: Transaction,
        identity: Identity,
        fields: Mapping[str, Field],
        put_id: str,
    ) -> Put:
        ref = people.subject_for(transaction, self._kek, identity)
        if doom.is_being_erased(transaction, ref):
            # In a moment this person is either unknown again or still here: nobody can tell yet.
            raise VaultUnavailable("BEING_FORGOTTEN")
        ids = rows.already_put(transaction, put_id, ref, None, list(fields))
        if ids is None:
            purposes = [field.purpose for field in fields.values()]
            held = keys.made_for_subject(transaction, self._kek, ref, purposes)
            whose = (identity.tenant, ref, None)
            ids = rows.store(transaction, self._kek, held, whose, fields, put_id)
        return Put(ref, ids)

    def put_for(
        self, subject_ref: str, request_id: str, fields: Mapping[str, Field], put_id: str
    ) -> dict[str, str]:
        try:
            with self._database.writing() as transaction:
                tenant = people.lock(transaction, subject_ref)
                if doom.covers(transaction, subject_ref, request_id):
                    raise VaultRefused("KEY_DESTROYED")
                if tenant is None:
                    raise VaultRefused("NOT_FOUND")
                names = list(fields)
                ids = rows.already_put(transaction, put_id, subject_ref, request_id, names)
                if ids is None:
                    purposes = [field.purpose for field in fields.values()]
                    held = keys.made_for_subject(transaction, self._kek, subject_ref, purposes)
                    whose = (tenant, subject_ref, request_id)
                    ids = rows.store(transaction, self._kek, held, whose, fields, put_id)
        except errors.UniqueViolation:
            raise VaultRefused("PUT_MISMATCH") from None
        fp("keyring.put")
        return ids

    def find(self, tenant: str, stable_id: str | None, email: str | None) -> str | None:
        kind, value = (people.EMAIL, email) if stable_id is None else (people.STABLE_ID, stable_id)
        if value is None or None not in (stable_id, email):
            raise VaultRefused("VALIDATION_FAILED")
        with self._database.reading() as transaction:
            return people.find(transaction, self._kek, tenant, kind, value)

    def open(self, permit: Permit) -> Opened:
        """What the permit is for, all of it or nothing.

        Raises:
            VaultRefused: KEY_DESTROYED or NOT_FOUND.
        """
        with self._database.reading() as transaction:
            found = self._read(transaction, permit)
            missing = [name for name in permit.makes if name not in found.keys]
        if missing:
            made = self._make(permit, missing)
            found = _Found(found.fields, {**found.keys, **made})
        return Opened(
            fields=found.fields,
            keys={name: held.as_request_key() for name, held in found.keys.items()},
            lease=self._lease,
        )

    def _read(self, transaction: Transaction, permit: Permit) -> _Found:
        ref = permit.subject_ref
        tenant = people.tenant_of(transaction, ref)
        # A subject of one tenant in a request of another is somebody's mistake, and stays shut.
        if tenant is None or tenant_ref(tenant) != permit.tenant_ref:
            raise _missing(transaction, permit)
        found = rows.load(transaction, tenant, ref, permit.fields)
        names = (*permit.needs, *permit.makes)
        purposes = {row.place.purpose for row in found.values()}
        if names:
            purposes.add(Purpose.CONTENT)
        held = keys.of_subject(transaction, self._kek, ref, purposes)
        content = held.get(Purpose.CONTENT)
        of_request = (
            keys.of_request(transaction, content, ref, permit.request_id, names)
            if content and names
            else {}
        )
        if any(row.is_dying for row in found.values()) or _any_dying(held, of_request):
            raise VaultRefused("KEY_DESTROYED")
        if found.keys() != set(permit.fields) or not set(permit.needs) <= of_request.keys():
            raise _missing(transaction, permit)
        if any(row.place.request_id not in (None, permit.request_id) for row in found.values()):
            raise VaultRefused("NOT_FOUND")
        return _Found({i: row.open(held) for i, row in found.items()}, of_request)

    def _make(self, permit: Permit, names: Sequence[str]) -> dict[str, HeldKey]:
        with self._database.writing() as transaction:
            people.lock(transaction, permit.subject_ref)
            if doom.covers(transaction, permit.subject_ref, permit.request_id):
                raise VaultRefused("KEY_DESTROYED")
            content = keys.made_for_subject(
                transaction, self._kek, permit.subject_ref, [Purpose.CONTENT]
            )[Purpose.CONTENT]
            return keys.made_for_request(
                transaction, self._kek, content, permit.subject_ref, permit.request_id, names
            )


def _any_dying(*held: Mapping[str, HeldKey]) -> bool:
    return any(key.is_dying for keys_held in held for key in keys_held.values())


def _missing(transaction: Transaction, permit: Permit) -> VaultRefused:
    destroyed = doom.covers(transaction, permit.subject_ref, permit.request_id)
    return VaultRefused("KEY_DESTROYED" if destroyed else "NOT_FOUND")

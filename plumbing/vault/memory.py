"""A vault inside one process: the keyring's promises without its database, log or keys at rest.

`MemoryKeyring` is what all share; `client("bundler")` is that service's vault. Orders are made
pending with `permit` and taken back with `withdraw`, or asked of `permit_of` by whoever has a log.
"""

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyrage

from plumbing.vault.permits import (
    Permit,
    check_call,
    check_fields,
    check_permit,
    check_storing,
    one_of,
)
from plumbing.vault.protocol import (
    At,
    Field,
    Identity,
    Opened,
    Purpose,
    Put,
    RequestKey,
    VaultRefused,
)


@dataclass(frozen=True, slots=True)
class _Row:
    subject_ref: str
    request_id: str | None
    purpose: str
    name: str
    put_id: str
    value: str


def _no_fault() -> None:
    pass


class MemoryKeyring:
    """`fault` is called before each call and may raise VaultUnavailable."""

    def __init__(
        self,
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        lease: timedelta = timedelta(seconds=60),
        permit_of: Callable[[str], Permit | None] | None = None,
        fault: Callable[[], None] = _no_fault,
    ) -> None:
        self.fault = fault
        self.lease = lease
        self.entropy = entropy
        self.lock = threading.RLock()
        self.identity = pyrage.x25519.Identity.generate()
        self.subjects: dict[tuple[str, str], str] = {}
        self.emails: dict[str, tuple[str, str]] = {}
        self.rows: dict[str, _Row] = {}
        self.keys: dict[tuple[str, str], tuple[str, RequestKey]] = {}
        self._permits: dict[str, Permit] = {}
        self.permit_of = permit_of or self._permits.get
        self._destroyed_requests: set[tuple[str, str]] = set()
        self._destroyed_subjects: set[str] = set()

    def client(self, service: str) -> "MemoryVault":
        return MemoryVault(self, service)

    def permit(self, order_or_grant_id: str, permit: Permit) -> None:
        """From now on the order is pending, or the grant in force."""
        self._permits[order_or_grant_id] = permit

    def withdraw(self, order_or_grant_id: str) -> None:
        self._permits.pop(order_or_grant_id, None)

    def destroy_request(
        self, subject_ref: str, request_id: str, vault_ids: tuple[str, ...]
    ) -> None:
        """The request's keys and its rows but those for the audit."""
        with self.lock:
            self._destroyed_requests.add((subject_ref, request_id))
            self._drop_keys(lambda ref, of: (ref, of) == (subject_ref, request_id))
            self._drop_rows(
                lambda vault_id, row: (
                    row.subject_ref == subject_ref
                    and (row.request_id == request_id or vault_id in vault_ids)
                    and row.purpose != Purpose.AUDIT
                )
            )

    def destroy_content(self, subject_ref: str) -> None:
        """Everything that tells what a person's data is or where it lies."""
        with self.lock:
            self._destroyed_subjects.add(subject_ref)
            self._drop_keys(lambda ref, _: ref == subject_ref)
            self._drop_rows(
                lambda _, row: (
                    row.subject_ref == subject_ref
                    and row.purpose in (Purpose.CONTENT, Purpose.WORK)
                )
            )

    def forget(self, subject_ref: str) -> None:
        """Everything but the audit's rows, and who the person was."""
        with self.lock:
            self.destroy_content(subject_ref)
            self._drop_rows(
                lambda _, row: row.subject_ref == subject_ref and row.purpose != Purpose.AUDIT
            )
            self.subjects = {i: ref for i, ref in self.subjects.items() if ref != subject_ref}
            self.emails = {ref: e for ref, e in self.emails.items() if ref != subject_ref}

    def is_destroyed(self, subject_ref: str, request_id: str) -> bool:
        return (
            subject_ref in self._destroyed_subjects
            or (subject_ref, request_id) in self._destroyed_requests
        )

    def _drop_keys(self, is_doomed: Callable[[str, str], bool]) -> None:
        self.keys = {
            (request_id, name): held
            for (request_id, name), held in self.keys.items()
            if not is_doomed(held[0], request_id)
        }

    def _drop_rows(self, is_doomed: Callable[[str, _Row], bool]) -> None:
        self.rows = {i: row for i, row in self.rows.items() if not is_doomed(i, row)}


class MemoryVault:
    """A `Vault`: what one service may ask of a `MemoryKeyring`."""

    def __init__(self, keyring: MemoryKeyring, service: str) -> None:
        self._keyring = keyring
        self._service = service

    def put(self, identity: Identity, fields: Mapping[str, Field], put_id: str) -> Put:
        self._admit("put")
        check_fields("put", fields, put_id)
        person = (identity.tenant, identity.stable_id)
        with self._keyring.lock:
            ref = self._keyring.subjects.get(person) or self._keyring.entropy(16).hex()
            vault_ids = self._store(ref, None, fields, put_id)
            self._keyring.subjects[person] = ref
            if identity.email is not None:
                self._keyring.emails[ref] = (identity.tenant, identity.email)
            return Put(ref, vault_ids)

    def put_for(
        self,
        subject_ref: str,
        request_id: str,
        fields: Mapping[str, Field],
        put_id: str,
        *,
        order_id: str,
    ) -> Mapping[str, str]:
        self._admit("put_for")
        check_fields("put_for", fields, put_id)
        check_storing(self._keyring.permit_of(order_id), self._service, subject_ref, request_id)
        with self._keyring.lock:
            if self._keyring.is_destroyed(subject_ref, request_id):
                raise VaultRefused("KEY_DESTROYED")
            if subject_ref not in self._keyring.subjects.values():
                raise VaultRefused("NOT_FOUND")
            return self._store(subject_ref, request_id, fields, put_id)

    def find(
        self, tenant: str, stable_id: str | None = None, *, email: str | None = None
    ) -> str | None:
        self._admit("find")
        if (stable_id is None) == (email is None):
            raise VaultRefused("VALIDATION_FAILED")
        with self._keyring.lock:
            if stable_id is not None:
                return self._keyring.subjects.get((tenant, stable_id))
            found = [r for r, known in self._keyring.emails.items() if known == (tenant, email)]
        if len(found) > 1:
            raise VaultRefused("AMBIGUOUS")
        return found[0] if found else None

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        self._admit("unseal")
        try:
            value = json.loads(pyrage.decrypt(sealed, [self._keyring.identity]))
        except (pyrage.DecryptError, ValueError):
            raise VaultRefused("UNREADABLE") from None
        if not isinstance(value, dict):
            raise VaultRefused("UNREADABLE")
        return value

    def open(
        self,
        *,
        order_id: str | None = None,
        grant_id: str | None = None,
        at: At,  # noqa: ARG002 -- Here the log is never behind.
    ) -> Opened:
        self._admit("open")
        permit = check_permit(self._keyring.permit_of(one_of(order_id, grant_id)), self._service)
        with self._keyring.lock:
            fields = {vault_id: self._value(permit, vault_id) for vault_id in permit.fields}
            keys = {name: self._key(permit, name) for name in (*permit.needs, *permit.makes)}
        return Opened(fields, keys, self._keyring.lease)

    def public_key(self) -> str:
        self._keyring.fault()
        return str(self._keyring.identity.to_public())

    def _admit(self, operation: str) -> None:
        self._keyring.fault()
        check_call(operation, self._service)

    def _store(
        self, ref: str, request_id: str | None, fields: Mapping[str, Field], put_id: str
    ) -> dict[str, str]:
        known = {
            row.name: (i, row) for i, row in self._keyring.rows.items() if row.put_id == put_id
        }
        if known:
            is_same = all(
                (row.subject_ref, row.request_id) == (ref, request_id) for _, row in known.values()
            )
            if not is_same or known.keys() != fields.keys():
                raise VaultRefused("PUT_MISMATCH")
            return {name: vault_id for name, (vault_id, _) in known.items()}
        vault_ids = {name: self._keyring.entropy(16).hex() for name in fields}
        for name, field in fields.items():
            self._keyring.rows[vault_ids[name]] = _Row(
                ref, request_id, field.purpose, name, put_id, json.dumps(dict(field.value))
            )
        return vault_ids

    def _value(self, permit: Permit, vault_id: str) -> dict[str, Any]:
        row = self._keyring.rows.get(vault_id)
        if row is None or row.subject_ref != permit.subject_ref:
            raise self._missing(permit)
        value: dict[str, Any] = json.loads(row.value)
        return value

    def _key(self, permit: Permit, name: str) -> RequestKey:
        place = (permit.request_id, name)
        if place not in self._keyring.keys:
            gone = self._keyring.is_destroyed(permit.subject_ref, permit.request_id)
            if gone or name not in permit.makes:
                raise self._missing(permit)
            made = RequestKey(self._keyring.entropy(16), self._keyring.entropy(32))
            self._keyring.keys[place] = (permit.subject_ref, made)
        return self._keyring.keys[place][1]

    def _missing(self, permit: Permit) -> VaultRefused:
        gone = self._keyring.is_destroyed(permit.subject_ref, permit.request_id)
        return VaultRefused("KEY_DESTROYED" if gone else "NOT_FOUND")

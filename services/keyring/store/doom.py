"""What a destruction marks, deletes, and leaves no trace of.

    REQUEST  the request's keys, and its rows
    CONTENT  the person's content and work keys and rows, and every request key
    COMMS    every other key and row of the person, and the references to who they are

Rule 1: what is kept for the audit is never touched, in any scope.
Rule 2: absent is success: each step may be repeated, and finds nothing the second time.
Rule 3: one set of conditions marks, deletes, counts what is left, and deletes again at a start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from plumbing.postgres import sql
from rights.orders import KeyScope
from services.keyring.store.cipher import fingerprint_of
from services.keyring.store.database import Transaction

_OF_REQUEST: Final = sql.SQL(
    "(request_id, subject_ref) IN"
    " (SELECT * FROM unnest(%(requests)s::text[], %(requests_of)s::text[]))"
)
_OF_PERSON: Final = sql.SQL(
    "subject_ref = ANY (%(forgotten)s)"
    " OR (subject_ref = ANY (%(erased)s) AND purpose IN ('content', 'work'))"
)
_NAMED: Final = sql.SQL(
    "(vault_id, subject_ref) IN (SELECT * FROM unnest(%(rows)s::text[], %(rows_of)s::text[]))"
)
_CONDITIONS: Final = {
    "request_key": sql.SQL("(subject_ref = ANY (%(erased)s) OR {})").format(_OF_REQUEST),
    "vault_row": sql.SQL("(purpose <> 'audit' AND ({} OR {} OR {}))").format(
        _OF_PERSON, _OF_REQUEST, _NAMED
    ),
    "subject_key": sql.SQL("(purpose <> 'audit' AND ({}))").format(_OF_PERSON),
}
# Rows before the keys that seal them.
_ORDER: Final = ("vault_row", "request_key", "subject_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doom:
    """One thing to be destroyed; `vault_ids` are rows of the request that do not name it."""

    subject_ref: str
    request_id: str
    scope: KeyScope
    vault_ids: tuple[str, ...] = ()


Parameters = dict[str, list[str]]


def _parameters(dooms: Sequence[Doom]) -> Parameters:
    requests = [doom for doom in dooms if doom.scope is KeyScope.REQUEST]
    rows = [(vault_id, doom.subject_ref) for doom in requests for vault_id in doom.vault_ids]
    forgotten = [doom.subject_ref for doom in dooms if doom.scope is KeyScope.COMMS]
    return {
        # Who is forgotten is erased as well, should that not have happened before.
        "erased": [*(d.subject_ref for d in dooms if d.scope is KeyScope.CONTENT), *forgotten],
        "forgotten": forgotten,
        "requests": [doom.request_id for doom in requests],
        "requests_of": [doom.subject_ref for doom in requests],
        "rows": [vault_id for vault_id, _ in rows],
        "rows_of": [ref for _, ref in rows],
    }


def mark(transaction: Transaction, doom: Doom, now: datetime) -> tuple[str, ...]:
    """From the end of this transaction on nothing of it is opened; answers the fingerprints."""
    transaction.execute(
        "SELECT 1 FROM keyring.subject WHERE subject_ref = %s FOR UPDATE", [doom.subject_ref]
    )
    parameters = _parameters([doom])
    transaction.execute(_marking("vault_row"), parameters)
    key_ids = [
        bytes(key_id)
        for table in ("request_key", "subject_key")
        for (key_id,) in transaction.execute(
            _marking(table) + sql.SQL(" RETURNING key_id"), parameters
        )
    ]
    # What was marked before a crash is remembered here, also when it is gone by now.
    found = transaction.execute(
        "INSERT INTO keyring.destruction AS known"
        " (request_id, scope, subject_ref, fingerprints, begun_at) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (request_id, scope) DO UPDATE SET fingerprints = ARRAY("
        "  SELECT DISTINCT f FROM unnest(known.fingerprints || excluded.fingerprints) AS f"
        "  ORDER BY f)"
        " RETURNING fingerprints",
        [
            doom.request_id,
            doom.scope.value,
            doom.subject_ref,
            sorted(map(fingerprint_of, key_ids)),
            now,
        ],
    ).fetchone()
    return tuple(found[0]) if found else ()


def _marking(table: str) -> sql.Composed:
    return sql.SQL("UPDATE {} SET state = 'dying' WHERE {}").format(
        sql.Identifier("keyring", table), _CONDITIONS[table]
    )


def doomed_keys(transaction: Transaction, doom: Doom) -> list[bytes]:
    """The ids of the keys that `delete` would delete."""
    parameters = _parameters([doom])
    return [
        bytes(key_id)
        for table in ("request_key", "subject_key")
        for (key_id,) in transaction.execute(
            sql.SQL("SELECT key_id FROM {} WHERE {}").format(
                sql.Identifier("keyring", table), _CONDITIONS[table]
            ),
            parameters,
        )
    ]


def delete(transaction: Transaction, dooms: Sequence[Doom]) -> tuple[frozenset[str], int]:
    """Delete rows, keys and references; answers the fingerprints of the keys and how many rows."""
    parameters = _parameters(dooms)
    # Nobody puts anything under a key between its last row's end and its own.
    transaction.execute(
        "SELECT 1 FROM keyring.subject WHERE subject_ref = ANY (%s)"
        " ORDER BY subject_ref FOR UPDATE",
        [[doom.subject_ref for doom in dooms]],
    )
    rows = transaction.execute(_deleting("vault_row"), parameters).rowcount
    fingerprints = frozenset(
        fingerprint_of(bytes(key_id))
        for table in ("request_key", "subject_key")
        for (key_id,) in transaction.execute(
            _deleting(table) + sql.SQL(" RETURNING key_id"), parameters
        )
    )
    if parameters["forgotten"]:
        transaction.execute(
            "DELETE FROM keyring.reference WHERE subject_ref = ANY (%(forgotten)s)", parameters
        )
        # What stays for the audit needs to know its tenant.
        transaction.execute(
            "DELETE FROM keyring.subject AS s WHERE subject_ref = ANY (%(forgotten)s) AND NOT"
            " EXISTS (SELECT 1 FROM keyring.subject_key AS k WHERE k.subject_ref = s.subject_ref)",
            parameters,
        )
    return fingerprints, rows


def _deleting(table: str) -> sql.Composed:
    return sql.SQL("DELETE FROM {} WHERE {}").format(
        sql.Identifier("keyring", table), _CONDITIONS[table]
    )


def left(transaction: Transaction, doom: Doom) -> int:
    """How much of what should be gone is still there."""
    parameters = _parameters([doom])
    counts = [
        transaction.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
                sql.Identifier("keyring", table), _CONDITIONS[table]
            ),
            parameters,
        ).fetchone()
        for table in _ORDER
    ]
    counts.append(
        transaction.execute(
            "SELECT count(*) FROM keyring.reference WHERE subject_ref = ANY (%(forgotten)s)",
            parameters,
        ).fetchone()
    )
    return sum(count[0] for count in counts if count)


def conclude(transaction: Transaction, doom: Doom, now: datetime) -> None:
    """Write down that the destruction was done; a repeat keeps the first date."""
    transaction.execute(
        "UPDATE keyring.destruction SET deleted_at = coalesce(deleted_at, %s)"
        " WHERE request_id = %s AND scope = %s",
        [now, doom.request_id, doom.scope.value],
    )


def record(
    transaction: Transaction, destroyed: Sequence[tuple[Doom, tuple[str, ...], datetime]]
) -> None:
    """Know again of destructions that the log tells of and this database does not."""
    with transaction.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO keyring.destruction"
            " (request_id, scope, subject_ref, fingerprints, begun_at, deleted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (request_id, scope) DO UPDATE"
            " SET deleted_at = coalesce(keyring.destruction.deleted_at, excluded.deleted_at)",
            [
                (d.request_id, d.scope.value, d.subject_ref, list(fingerprints), at, at)
                for d, fingerprints, at in destroyed
            ],
        )


def is_being_erased(transaction: Transaction, subject_ref: str) -> bool:
    """Whether a destruction that is about the whole person has begun and is not done."""
    return _exists(
        transaction,
        "SELECT 1 FROM keyring.destruction"
        " WHERE subject_ref = %s AND scope <> 'REQUEST' AND deleted_at IS NULL LIMIT 1",
        [subject_ref],
    )


def covers(transaction: Transaction, subject_ref: str, request_id: str) -> bool:
    """Whether the keys of this request were destroyed, or are to be: they are never made again."""
    return _exists(
        transaction,
        "SELECT 1 FROM keyring.destruction WHERE subject_ref = %s"
        " AND (scope <> 'REQUEST' OR request_id = %s) LIMIT 1",
        [subject_ref, request_id],
    )


def _exists(transaction: Transaction, query: str, parameters: list[str]) -> bool:
    return transaction.execute(query.encode(), parameters).fetchone() is not None

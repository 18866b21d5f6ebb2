"""Subject keys, one a purpose, and request keys, one a source and one for the archive.

All are drawn, never derived (K-2). A request key is wrapped by its subject's content key.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from plumbing.vault import Purpose
from services.keyring.store.cipher import (
    EPOCH,
    KEY_BYTES,
    HeldKey,
    Kek,
    unwrap_request_key,
    wrap_request_key,
)
from services.keyring.store.database import Transaction

KEY_ID_BYTES: Final = 16
_DYING: Final = "dying"


def of_subject(
    transaction: Transaction, kek: Kek, subject_ref: str, purposes: Iterable[str]
) -> dict[str, HeldKey]:
    """The subject's keys for these purposes, as far as there are any."""
    found = transaction.execute(
        "SELECT purpose, key_id, wrapped, state FROM keyring.subject_key"
        " WHERE subject_ref = %s AND purpose = ANY (%s)",
        [subject_ref, sorted(set(purposes))],
    ).fetchall()
    return {
        purpose: HeldKey(
            bytes(key_id),
            kek.unwrap(bytes(wrapped), "subject_key", _row_id(subject_ref, key_id), purpose),
            state == _DYING,
        )
        for purpose, key_id, wrapped, state in found
    }


def made_for_subject(
    transaction: Transaction, kek: Kek, subject_ref: str, purposes: Iterable[str]
) -> dict[str, HeldKey]:
    """The subject's keys for these purposes, made where there are none. The subject is locked."""
    wanted = sorted(set(purposes))
    held = of_subject(transaction, kek, subject_ref, wanted)
    for purpose in wanted:
        if purpose not in held:
            made = HeldKey(kek.entropy(KEY_ID_BYTES), kek.entropy(KEY_BYTES))
            row_id = _row_id(subject_ref, made.key_id)
            transaction.execute(
                "INSERT INTO keyring.subject_key (subject_ref, purpose, key_id, epoch, wrapped)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    subject_ref,
                    purpose,
                    made.key_id,
                    EPOCH,
                    kek.wrap(made.key, "subject_key", row_id, purpose),
                ],
            )
            held[purpose] = made
    return held


def of_request(
    transaction: Transaction,
    content: HeldKey,
    subject_ref: str,
    request_id: str,
    names: Sequence[str],
) -> dict[str, HeldKey]:
    """The request's keys by these names, as far as there are any."""
    found = transaction.execute(
        "SELECT name, key_id, wrapped, state FROM keyring.request_key"
        " WHERE request_id = %s AND subject_ref = %s AND name = ANY (%s)",
        [request_id, subject_ref, list(names)],
    ).fetchall()
    return {
        name: HeldKey(
            bytes(key_id),
            unwrap_request_key(content, bytes(wrapped), _name_id(request_id, name, key_id)),
            state == _DYING,
        )
        for name, key_id, wrapped, state in found
    }


def made_for_request(
    transaction: Transaction,
    kek: Kek,
    content: HeldKey,
    subject_ref: str,
    request_id: str,
    names: Sequence[str],
) -> dict[str, HeldKey]:
    """The request's keys by these names, made where there are none. The subject is locked."""
    held = of_request(transaction, content, subject_ref, request_id, names)
    for name in names:
        if name not in held:
            made = HeldKey(kek.entropy(KEY_ID_BYTES), kek.entropy(KEY_BYTES))
            row_id = _name_id(request_id, name, made.key_id)
            transaction.execute(
                "INSERT INTO keyring.request_key (request_id, name, key_id, subject_ref, wrapped)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    request_id,
                    name,
                    made.key_id,
                    subject_ref,
                    wrap_request_key(content, made.key, row_id, entropy=kek.entropy),
                ],
            )
            held[name] = made
    return held


def by_id(transaction: Transaction, kek: Kek, key_ids: Sequence[bytes]) -> dict[bytes, HeldKey]:
    """Keys of either kind by their ids, dying ones too: for the proof that a key is gone."""
    wanted = list(key_ids)
    found = transaction.execute(
        "SELECT subject_ref, purpose, key_id FROM keyring.subject_key WHERE key_id = ANY (%s)",
        [wanted],
    ).fetchall()
    held = {
        bytes(key_id): of_subject(transaction, kek, ref, [purpose])[purpose]
        for ref, purpose, key_id in found
    }
    found = transaction.execute(
        "SELECT subject_ref, request_id, name, key_id FROM keyring.request_key"
        " WHERE key_id = ANY (%s)",
        [wanted],
    ).fetchall()
    for ref, request_id, name, key_id in found:
        content = _content_key(of_subject(transaction, kek, ref, [Purpose.CONTENT]))
        if content is not None:
            held[bytes(key_id)] = of_request(transaction, content, ref, request_id, [name])[name]
    return held


def _content_key(held: Mapping[str, HeldKey]) -> HeldKey | None:
    return held.get(Purpose.CONTENT)


def _row_id(subject_ref: str, key_id: bytes) -> str:
    return f"{subject_ref}/{bytes(key_id).hex()}"


def _name_id(request_id: str, name: str, key_id: bytes) -> str:
    return f"{request_id}/{name}/{bytes(key_id).hex()}"

"""No topic carries personal data in the clear: every field that could is named here, with a reason.

A new field of text, bytes or a map fails this test until somebody says why nobody can be read in it.
What is readable about a person belongs into the vault; a message carries the `…_vault_id` of it.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from schemas.catalogue import MESSAGES
from schemas.derivation import schema_of

RANDOM = "random, or derived from random: says nothing to who does not hold the vault"
DIGEST = "a digest over ciphertext, over random or over messages that are on this list themselves"
KEYED = "an HMAC under a key that only the request API has"
VAULT = "the id of a vault row; the row can be deleted, the id tells nothing"
WORD = "a word of a closed vocabulary of ours"
DECLARED = "a name that a product team declared for its system, the same for all people"
NESTED = "a message of the catalogue, or ciphertext"

ALLOWED: Final = {
    # Who: pseudonyms only.
    "subject_ref": RANDOM,
    "tenant_ref": "derived from an organisation's name; organisations are not people",
    "tenant": "an organisation, not a person",
    "actor_ref": "a subject_ref, or the name of a service",
    "approver_ref": "a subject_ref",
    "filer_ref": "a subject_ref, or the name of a service",
    "ref": "a subject_ref, or the name of a service",
    "actor_role": WORD,
    "filed_by": WORD,
    "role": WORD,
    "issuer": "the name of a service",
    "worker": "the name of a service",
    # Which: ids of ours.
    "id": KEYED,
    "request_id": KEYED,
    "order_id": "derived from a request_id",
    "grant_id": "the id of the command that asked for it",
    "run_id": RANDOM,
    "boot_id": "drawn by a machine's kernel at its start",
    "log_id": RANDOM,
    "message_id": "drawn by the product service for each filing",
    "reference": "a counter per organisation with a year",
    "object_key": "made of order ids",
    "topic": "a topic of the catalogue",
    "type": "the name of a message",
    # What lies in the vault.
    "handles_vault_id": VAULT,
    "comms_vault_id": VAULT,
    "contents_vault_id": VAULT,
    "evidence_vault_id": VAULT,
    "reason_vault_id": VAULT,
    # Words.
    "approval_required_for": WORD,
    "code": WORD,
    "download_roles": WORD,
    "erasure_roles": WORD,
    "export_roles": WORD,
    "fact": WORD,
    "ground": WORD,
    "guards": WORD,
    "language": "a language tag; thousands share each",
    "outcome": WORD,
    "package_format": WORD,
    "profile": WORD,
    "right": WORD,
    "scope": WORD,
    "skip_ground": WORD,
    "stale_run": WORD,
    "template": WORD,
    "timer": WORD,
    "treatment": WORD,
    "value": "the answer to a named fact: true, false or a number; never a text that somebody wrote",
    "verdict": WORD,
    # What product teams declare about their systems.
    "basis": DECLARED,
    "item_class": DECLARED,
    "keep_rule": DECLARED,
    "section": DECLARED,
    "sections": DECLARED,
    "source": DECLARED,
    "sources": DECLARED,
    "watermark": "a position in a source's own history, such as a transaction id",
    # Digests.
    "ciphertext_sha256": DIGEST,
    "declaration_hash": "a digest over a declaration that is the same for all people",
    "fingerprints": "digests over the ids of keys",
    "hash": "KEYED on commands; a digest over messages elsewhere",
    "plan_hash": "a digest over declared names only",
    "prev_hash": DIGEST,
    "schemas_sha256": DIGEST,
    "sha256": "over an unreadable message: the message stays where its retention ends it",
    "token_sha256": "over a random download token",
    # What carries other messages.
    "body": NESTED,
    "sealed": NESTED,
}
# What a message may never be about by name, whatever reason is given.
FORBIDDEN = ("address", "birth", "email", "ip", "name", "phone", "reason", "text", "user")
_OPEN_KINDS = frozenset({"string", "bytes", "map"})


def open_fields(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(Where, field name) of every field in which a text could stand."""
    match schema:
        case {"type": "record", "fields": fields, "name": record}:
            for field in fields:
                where = f"{record}.{field['name']}"
                if _OPEN_KINDS & set(_kinds(field["type"])):
                    yield where, field["name"]
                yield from open_fields(field["type"], where)
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            yield from open_fields(inner, path)
        case list():
            for branch in schema:
                yield from open_fields(branch, path)


def _kinds(schema: Any) -> Iterator[str]:
    match schema:
        case str():
            yield schema
        case {"type": "array", "items": inner}:
            yield from _kinds(inner)
        case {"type": "map"}:
            yield "map"
        case {"type": str(kind)}:
            yield kind
        case list():
            for branch in schema:
                yield from _kinds(branch)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_open_field_has_a_reason_why_nobody_can_be_read_in_it(name: str) -> None:
    unexplained = {w for w, field in open_fields(schema_of(MESSAGES[name])) if field not in ALLOWED}

    assert not unexplained, "say in ALLOWED why no person can be read there, or use the vault"


def test_the_list_names_no_field_that_is_gone() -> None:
    used = {field for cls in MESSAGES.values() for _, field in open_fields(schema_of(cls))}

    assert set(ALLOWED) - used == set()


def test_no_field_is_named_after_something_personal() -> None:
    personal = {field for field in ALLOWED if set(field.split("_")) & set(FORBIDDEN)}

    assert personal == {"reason_vault_id"}, "the vault holds the reason, the message its id"


def test_open_fields_are_found_however_deep_they_lie() -> None:
    inner = {"type": "record", "name": "Inner", "fields": [{"name": "note", "type": "string"}]}
    fields = [
        {"name": "count", "type": "long"},
        {"name": "flat", "type": ["null", "bytes"]},
        {"name": "listed", "type": {"type": "array", "items": inner}},
        {"name": "mapped", "type": {"type": "map", "values": "long"}},
        {"name": "perhaps", "type": ["null", {"type": "array", "items": "string"}]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ]

    found = {where for where, _ in open_fields({"type": "record", "name": "M", "fields": fields})}

    assert found == {"M.flat", "Inner.note", "M.mapped", "M.perhaps"}

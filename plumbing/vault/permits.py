"""What an order or a grant lets its worker have opened, and who may call what.

The keyring makes permits from the log (`services.keyring.entitlements`); what is not in a permit
stays shut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from plumbing.vault.protocol import Field, Purpose, VaultRefused

MAY_CALL: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "put": frozenset({"request_api"}),
        "find": frozenset({"request_api"}),
        "unseal": frozenset({"request_api"}),
        "put_for": frozenset({"bundler"}),
        "open": frozenset({"collectors", "bundler", "notifier", "eraser", "request_api"}),
    }
)
"""Beside this, `open` asks the permit which of them it is for."""

MAY_FILL: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "put": frozenset({Purpose.WORK, Purpose.COMMS, Purpose.AUDIT}),
        "put_for": frozenset({Purpose.CONTENT}),
    }
)
"""The purposes that a call may store under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What may be opened, by whom.

    `fields` are vault ids of the subject. `makes` are request keys that the first opening makes;
    `needs` are those that must have been made by then.
    """

    services: frozenset[str]
    subject_ref: str
    tenant_ref: str
    request_id: str
    fields: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    # Who holds the permit may store what it made of the request (`put_for`).
    stores: bool = False


def check_call(operation: str, service: str) -> None:
    """Raises VaultRefused (NOT_ALLOWED) unless the service may call the operation at all."""
    if service not in MAY_CALL[operation]:
        raise VaultRefused("NOT_ALLOWED")


def check_fields(operation: str, fields: Mapping[str, Field], put_id: str) -> None:
    """Raises VaultRefused unless these are fields that the operation may store."""
    if not put_id or not all(fields):
        raise VaultRefused("VALIDATION_FAILED")
    if not all(field.purpose in MAY_FILL[operation] for field in fields.values()):
        raise VaultRefused("NOT_ALLOWED")


def check_permit(permit: Permit | None, service: str) -> Permit:
    """Raises VaultRefused unless there is a permit, and it is for the service."""
    if permit is None:
        raise VaultRefused("ORDER_NOT_PENDING")
    if service not in permit.services:
        raise VaultRefused("NOT_ALLOWED")
    return permit


def check_storing(permit: Permit | None, service: str, subject_ref: str, request_id: str) -> None:
    """Raises VaultRefused unless the permit lets the service store for exactly this request."""
    held = check_permit(permit, service)
    if not held.stores or (held.subject_ref, held.request_id) != (subject_ref, request_id):
        raise VaultRefused("NOT_ALLOWED")


def one_of(order_id: str | None, grant_id: str | None) -> str:
    """The id that `open` was called with; neither or both is a malformed call."""
    given = [i for i in (order_id, grant_id) if i]
    if len(given) != 1:
        raise VaultRefused("VALIDATION_FAILED")
    return given[0]

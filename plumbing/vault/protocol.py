"""What a vault promises: readable things about a person go in, and come out for a reason only.

It does not say where they lie. `http` asks the keyring, `memory` keeps them in this process, and
one contract suite (`tests/contracts/vault`) holds both to the prose below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

At = tuple[int, int]
"""A place in the log: partition and seq."""

Value = Mapping[str, Any]
"""What a field holds: a JSON object."""


class Purpose(StrEnum):
    """What a field is kept for, and therefore how long: each purpose has a key of its own."""

    WORK = "work"
    COMMS = "comms"
    AUDIT = "audit"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person of a tenant, by the account id that never changes. The repr shows nothing."""

    tenant: str
    stable_id: str = field(repr=False)
    email: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A value and its purpose."""

    purpose: str
    value: Value = field(repr=False)


@dataclass(frozen=True, slots=True)
class Put:
    """Whom the vault took the fields for to be, and the id of each field by its name."""

    subject_ref: str
    vault_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A key of one request: 16 bytes that name it and the 32 bytes that it is."""

    key_id: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """What an order or a grant is entitled to: fields by vault id, keys by name.

    A name is a source's, or "archive". All of it may be kept for `lease`, counted from the moment
    of asking, and not a moment longer: destruction waits for that long and no longer.
    """

    fields: Mapping[str, Value] = field(repr=False)
    keys: Mapping[str, RequestKey]
    lease: timedelta


class VaultUnavailable(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """No answer now; the same call may succeed later, and nothing falls back to clear text.

    `code` says what there is to wait for: UNREACHABLE, TIMED_OUT, LOG_BEHIND (the keyring has not
    read as far as `at`), BEING_FORGOTTEN (this person's keys are dying right now), UNAVAILABLE.
    """

    def __init__(self, code: str = "UNAVAILABLE") -> None:
        super().__init__(code)
        self.code = code


class VaultRefused(Exception):  # noqa: N818 -- As above.
    """No, and asking again will not change it (RATE_LIMITED: not at once).

    ORDER_NOT_PENDING  no such order is pending, or no such grant is in force
    NOT_ALLOWED        this caller may not do this
    KEY_DESTROYED      it was destroyed or is dying; it will never be readable again
    NOT_FOUND          the vault holds no such thing of this person
    RATE_LIMITED       too many calls
    PUT_MISMATCH       the put id was used for other fields or another person
    AMBIGUOUS          several people have this e-mail address
    UNREADABLE         what was sealed does not open, or is not what it should be
    VALIDATION_FAILED  the call itself is malformed
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Vault(Protocol):
    """Every call may block for a few seconds; safe to share between threads.

    Raises, all of them: VaultUnavailable, and VaultRefused with NOT_ALLOWED for who may not call.
    """

    def put(self, identity: Identity, fields: Mapping[str, Field], put_id: str) -> Put:
        """Keep fields about a person, who gets a `subject_ref` at the first time and keeps it.

        Idempotent by `put_id`: a repeat gets the first answer and stores nothing, also where the
        values differ by now. Without fields it only mints. An e-mail given replaces the one known.

        Raises:
            VaultRefused: PUT_MISMATCH, VALIDATION_FAILED, or NOT_ALLOWED for a purpose that is not
                the caller's to fill.
        """
        ...

    def put_for(
        self,
        subject_ref: str,
        request_id: str,
        fields: Mapping[str, Field],
        put_id: str,
        *,
        order_id: str,
    ) -> Mapping[str, str]:
        """Keep fields about a request, while the pending order `order_id` of that request stands.

        Open the order first: that is what makes sure that the vault knows of it.

        Idempotent by `put_id` as `put` is; answers with the vault id of each field.

        Raises:
            VaultRefused: ORDER_NOT_PENDING, KEY_DESTROYED, NOT_FOUND, and as `put`.
        """
        ...

    def find(
        self, tenant: str, stable_id: str | None = None, *, email: str | None = None
    ) -> str | None:
        """The subject_ref of a person, by one of the two, or None; never mints one.

        Raises:
            VaultRefused: AMBIGUOUS, by e-mail only.
        """
        ...

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """The JSON object that somebody sealed to `public_key()` (age, X25519).

        Raises:
            VaultRefused: UNREADABLE.
        """
        ...

    def open(self, *, order_id: str | None = None, grant_id: str | None = None, at: At) -> Opened:
        """What a pending order, or a grant in force, entitles the caller to; give one of the two.

        `at` is the decision at which it was pending or granted: the vault waits up to two seconds
        until it has read the log as far as that. Keys of the request are made at the first opening
        and stay the same.

        Raises:
            VaultUnavailable: LOG_BEHIND among others.
            VaultRefused: ORDER_NOT_PENDING, NOT_ALLOWED, KEY_DESTROYED, NOT_FOUND, RATE_LIMITED.
        """
        ...

    def public_key(self) -> str:
        """The age recipient to which product services seal handles."""
        ...

"""Who is who in a tenant, asked live and never copied.

It knows people, not rights: whether somebody may do something is decided elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol


class DirectoryUnavailable(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The tenant's identity source did not answer; nothing is known of the person."""


class TenantUnknown(Exception):  # noqa: N818
    """No identity source is configured for this tenant."""


class PersonAmbiguous(Exception):  # noqa: N818
    """The e-mail address belongs to more than one person; choosing would be guessing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as the tenant's identity source has them. The repr shows nothing of them.

    `handles` are the names by which other sources know the person, by kind of handle.
    """

    stable_id: str = field(repr=False)
    email: str = field(repr=False)
    name: str = field(repr=False)
    registered_on: date = field(repr=False)
    roles: tuple[str, ...] = field(repr=False)
    handles: Mapping[str, str] = field(repr=False)


class Directory(Protocol):
    """Every call may block on the tenant's own system.

    Raises, all of them: DirectoryUnavailable, TenantUnknown.
    """

    def find(
        self, tenant: str, *, email: str | None = None, stable_id: str | None = None
    ) -> Person | None:
        """The person with exactly this e-mail address or this id (give one of the two), or None.

        Exactly: no case folding and no trimming, because acting on a near match is acting on
        somebody else.

        Raises:
            PersonAmbiguous: several people share the address.
        """
        ...

    def administrators(self, tenant: str) -> int:
        """How many people hold the administrator's role."""
        ...


def one_criterion(email: str | None, stable_id: str | None) -> None:
    """Refuse a search by neither or by both: one of them would be silently ignored."""
    if (email is None) == (stable_id is None):
        raise ValueError("find() takes an email or a stable_id")

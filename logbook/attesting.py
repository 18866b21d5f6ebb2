"""Facts beyond the subject, asked live of who knows them, and named for the log.

Judges nothing: that is `decide`'s business.
"""

from datetime import datetime
from typing import Final

from plumbing.directory import Directory, Person
from rights.commands import AttestedFact

ADMINISTRATOR: Final = "admin"


def sole_administrator(
    directory: Directory, tenant: str, person: Person, *, now: datetime
) -> AttestedFact:
    """Whether the tenant would be left without an administrator (E3-14).

    Raises:
        DirectoryUnavailable: then nothing is known and nothing may be attested.
    """
    is_alone = ADMINISTRATOR in person.roles and directory.administrators(tenant) <= 1
    return AttestedFact(
        fact="sole_administrator",
        value="true" if is_alone else "false",
        source=f"directory:{tenant}",
        as_of=now,
    )

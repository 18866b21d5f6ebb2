"""Who is who: `protocol` says what may be asked, `memory` and `postgres` answer."""

from plumbing.directory.memory import MemoryDirectory
from plumbing.directory.postgres import PostgresDirectory
from plumbing.directory.protocol import (
    Directory,
    DirectoryUnavailable,
    Person,
    PersonAmbiguous,
    TenantUnknown,
)

__all__ = [
    "Directory",
    "DirectoryUnavailable",
    "MemoryDirectory",
    "Person",
    "PersonAmbiguous",
    "PostgresDirectory",
    "TenantUnknown",
]

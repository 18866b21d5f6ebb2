"""The directory in a tenant's identity database, read live from one table.

    person(stable_id text primary key, email text, name text, registered_on date,
           roles text[], handles jsonb)

Connections are read-only and statements end after two seconds: it is somebody else's database.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from plumbing.config import Secret
from plumbing.directory.protocol import (
    DirectoryUnavailable,
    Person,
    PersonAmbiguous,
    TenantUnknown,
    one_criterion,
)
from plumbing.postgres import (
    Connection,
    DatabaseUnavailable,
    Pool,
    TupleRow,
    pool,
    unavailable_as_ours,
)

_STATEMENT_TIMEOUT = timedelta(seconds=2)
_COLUMNS = "SELECT stable_id, email, name, registered_on, roles, handles FROM person"
# Two rows are enough to know that there is more than one.
_BY_EMAIL = f"{_COLUMNS} WHERE email = %s LIMIT 2".encode()
_BY_STABLE_ID = f"{_COLUMNS} WHERE stable_id = %s".encode()
_ADMINISTRATORS = b"SELECT count(*) FROM person WHERE %s = ANY (roles)"


class PostgresDirectory:
    """Close it when done; the pools are opened when a tenant is first asked about."""

    def __init__(
        self,
        dsns: Mapping[str, Secret],
        *,
        administrator_role: str = "admin",
        connections: int = 2,
    ) -> None:
        self._administrator_role = administrator_role
        self._pools: dict[str, Pool] = {
            tenant: pool(
                dsn.reveal(),
                connections,
                application="habeas directory",
                read_only=True,
                statement_timeout=_STATEMENT_TIMEOUT,
            )
            for tenant, dsn in dsns.items()
        }

    def close(self) -> None:
        for connections in self._pools.values():
            connections.close()

    def find(
        self, tenant: str, *, email: str | None = None, stable_id: str | None = None
    ) -> Person | None:
        one_criterion(email, stable_id)
        query, value = (_BY_EMAIL, email) if stable_id is None else (_BY_STABLE_ID, stable_id)
        with self._connected(tenant) as connection:
            rows = connection.execute(query, [value]).fetchall()
        if len(rows) > 1:
            raise PersonAmbiguous
        return _person(rows[0]) if rows else None

    def administrators(self, tenant: str) -> int:
        with self._connected(tenant) as connection:
            row = connection.execute(_ADMINISTRATORS, [self._administrator_role]).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _connected(self, tenant: str) -> Iterator[Connection[TupleRow]]:
        connections = self._pools.get(tenant)
        if connections is None:
            raise TenantUnknown
        try:
            with unavailable_as_ours(), connections.connection() as connection:
                yield connection
        except DatabaseUnavailable as error:
            raise DirectoryUnavailable from error


def _person(row: tuple[Any, ...]) -> Person:
    stable_id, email, name, registered_on, roles, handles = row
    return Person(
        stable_id=stable_id,
        email=email,
        name=name,
        registered_on=registered_on,
        roles=tuple(roles or ()),
        handles={str(kind): str(handle) for kind, handle in (handles or {}).items()},
    )

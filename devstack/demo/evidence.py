"""What the product databases say for themselves, asked past habeas."""

from dataclasses import dataclass
from typing import Final

from devstack.products.loading import DemoPerson
from devstack.stack import Endpoints
from plumbing.postgres import connect

_JOURNAL: Final = (
    "SELECT (SELECT count(*) FROM journal_entry WHERE tenant = %(t)s AND user_id = %(u)s)"
    " + (SELECT count(*) FROM journal_upload WHERE tenant = %(t)s AND user_id = %(u)s)"
)
_INVOICES: Final = "SELECT count(*) FROM invoice WHERE tenant = %(t)s AND customer_id = %(c)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How many rows of a person the products hold."""

    journal: int
    invoices: int


def count(endpoints: Endpoints, person: DemoPerson) -> Rows:
    values = {
        "t": person.tenant,
        "u": person.handles.get("user_id"),
        "c": person.handles.get("customer_id"),
    }
    return Rows(
        journal=_one(endpoints.postgres_dsn("journal"), _JOURNAL, values),
        invoices=_one(endpoints.postgres_dsn("billing"), _INVOICES, values),
    )


def _one(dsn: str, query: str, values: dict[str, str | None]) -> int:
    with connect(dsn, application="habeas demo") as connection:
        row = connection.execute(query.encode(), values).fetchone()
    return int(row[0]) if row else 0

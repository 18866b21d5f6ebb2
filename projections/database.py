"""Where the views lie in the database, and how they come to be there.

All views are in one schema, so that a rebuild can make them again beside it and swap by renaming.
"""

from pathlib import Path
from typing import Final

from plumbing.postgres import Connection, TupleRow, migrate

SERVING: Final = "views"
NEXT: Final = "views_next"
BEFORE: Final = "views_before"
LIVE: Final = "live"
# Sent at each commit, with "partition:seq" pairs; whoever waits for a decision listens.
MOVED: Final = "habeas_views_moved"
# Advisory locks of the views' database: who applies, and who rebuilds.
APPLYING_LOCK: Final = 0x6861_6265_6173
REBUILDING_LOCK: Final = 0x6861_6265_6174
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def prepare(connection: Connection[TupleRow], schema: str = SERVING) -> None:
    """Make the schema of the views, and that of the signs of life, what this release wants."""
    migrate(connection, schema, _MIGRATIONS / "views")
    migrate(connection, LIVE, _MIGRATIONS / "live")


def take_lock(connection: Connection[TupleRow], number: int) -> bool:
    """Whether the lock is this session's now; it ends with the session."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone()
    return row is not None and row[0] is True

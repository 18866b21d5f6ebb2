"""Tells waiting readers how far the views are, by listening instead of asking again and again.

Rule 1: what it says was committed before: a reader who waited for a decision finds its rows.
Rule 2: while the database is away nobody's wait is answered with yes.
"""

import threading
from typing import Final

from plumbing.postgres import (
    Connection,
    DatabaseUnavailable,
    TupleRow,
    connect,
    errors,
    unavailable_as_ours,
)
from projections.database import MOVED, SERVING
from projections.views import positions

LOOK_UP_S: Final = 0.5
RETRY_S: Final = 0.5


class Watch:
    """One listening session for a whole process."""

    def __init__(self, dsn: str, *, application: str = "habeas") -> None:
        self._dsn = dsn
        self._application = application
        self._seqs: dict[int, int] = {}
        self._moved = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def wait_for(self, partition: int, seq: int, timeout: float) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self._seqs.get(partition, -1) >= seq, timeout)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with (
                    unavailable_as_ours(),
                    connect(self._dsn, application=self._application, autocommit=True) as session,
                ):
                    self._listen(session)
            except (DatabaseUnavailable, errors.UndefinedTable):
                # Not there, or the views are not made yet.
                self._tell({}, is_all=True)
                self._closing.wait(RETRY_S)

    def _listen(self, session: Connection[TupleRow]) -> None:
        session.execute(f"LISTEN {MOVED}".encode())
        while not self._closing.is_set():
            # Listening first: what moves after this look is heard.
            self._tell(dict(positions.seqs(session, SERVING)), is_all=True)
            for note in session.notifies(timeout=LOOK_UP_S):
                pairs = (pair.split(":") for pair in note.payload.split(","))
                self._tell({int(partition): int(seq) for partition, seq in pairs})

    def _tell(self, seqs: dict[int, int], *, is_all: bool = False) -> None:
        with self._moved:
            if is_all:
                self._seqs.clear()
            self._seqs |= seqs
            self._moved.notify_all()

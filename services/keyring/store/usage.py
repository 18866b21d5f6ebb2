"""How often which service called what, counted in memory and written down every few seconds.

A crash loses the last seconds of counting; making every call wait for a counter would cost more.
"""

import threading
from collections import Counter

from plumbing.clock import Clock
from services.keyring.store.database import Database


class Tally:
    """Safe to share between threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def count(self, service: str, operation: str, outcome: str) -> None:
        with self._lock:
            self._counts[service, operation, outcome] += 1

    def flush(self) -> None:
        """Write down what was counted since the last time; what cannot be written is kept."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            self._write(counts)
        except BaseException:
            with self._lock:
                self._counts += counts
            raise

    def _write(self, counts: Counter[tuple[str, str, str]]) -> None:
        now = self._clock.now()
        with self._database.writing() as transaction, transaction.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO keyring.used AS known (service, operation, outcome, count, last_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (service, operation, outcome) DO UPDATE"
                " SET count = known.count + excluded.count, last_at = excluded.last_at",
                [(*key, count, now) for key, count in sorted(counts.items())],
            )

"""The log just written, read from its start: folded by ours, only decoded by hand."""

import time
from functools import partial

from benchmarks.ground import LOG_ID, Plot
from logbook.following import Follower
from rights.ledger import Ledger
from schemas.log import Entry


def fold(plot: Plot) -> float:
    """Decisions a second that a follower chains and a ledger folds."""
    ledger = Ledger(plot.partition)
    follower = Follower(plot.connection, [plot.partition], log_id=LOG_ID)
    begun_s = time.monotonic()
    follower.read_to_end(partial(_apply, ledger))
    took_s = time.monotonic() - begun_s
    follower.close()
    return (ledger.head.seq + 1) / took_s


def _apply(ledger: Ledger, entry: Entry) -> None:
    ledger.apply(entry.decision, entry.events, entry.head)

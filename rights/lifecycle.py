"""States, phases and outcomes of a request, and which may follow which.

Says nothing about why a request moves: that is decided in `export` and `erasure`.

Rule 1: everything that limits the movement of a request lives in the tables of this file.
Rule 2: an outcome is set exactly when a request ends as COMPLETED.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a request stands; the words of the source documents are mapped at the edge."""

    AWAITING_CONFIRMATION = "AWAITING_CONFIRMATION"
    AWAITING_GRACE = "AWAITING_GRACE"
    PENDING = "PENDING"
    ON_HOLD = "ON_HOLD"
    IN_PROGRESS = "IN_PROGRESS"
    RECOVERABLE = "RECOVERABLE"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


class Phase(StrEnum):
    """What a request is busy with; NONE when it is not IN_PROGRESS."""

    NONE = "NONE"
    COLLECT = "COLLECT"
    SEAL = "SEAL"
    NOTIFY = "NOTIFY"
    CHECK = "CHECK"
    TREAT = "TREAT"
    PROBE = "PROBE"
    DESTROY_KEYS = "DESTROY_KEYS"
    FORGET = "FORGET"


class Outcome(StrEnum):
    """How a completed request ended."""

    FULL = "FULL"
    PARTIAL = "PARTIAL"
    NO_DATA = "NO_DATA"
    REFUSED = "REFUSED"


TERMINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.REJECTED, State.CANCELLED})

EXPORT_TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.AWAITING_CONFIRMATION: frozenset({State.PENDING, State.CANCELLED, State.REJECTED}),
    State.PENDING: frozenset({State.IN_PROGRESS, State.FAILED, State.CANCELLED}),
    State.IN_PROGRESS: frozenset({State.COMPLETED, State.FAILED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.REJECTED: frozenset(),
    State.CANCELLED: frozenset(),
}

ERASURE_TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.AWAITING_CONFIRMATION: frozenset(
        {State.AWAITING_GRACE, State.IN_PROGRESS, State.CANCELLED, State.FAILED, State.REJECTED}
    ),
    State.AWAITING_GRACE: frozenset({State.IN_PROGRESS, State.CANCELLED, State.FAILED}),
    State.IN_PROGRESS: frozenset(
        {State.RECOVERABLE, State.ON_HOLD, State.COMPLETED, State.FAILED, State.CANCELLED}
    ),
    State.RECOVERABLE: frozenset({State.IN_PROGRESS, State.CANCELLED}),
    State.ON_HOLD: frozenset({State.IN_PROGRESS, State.COMPLETED, State.FAILED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.REJECTED: frozenset(),
    State.CANCELLED: frozenset(),
}

# What an IN_PROGRESS request may be busy with next; erasure's point of no return lies before TREAT.
EXPORT_PHASES: Final[dict[Phase, frozenset[Phase]]] = {
    # A source's report of its start may be lost; its end is then the first that is heard.
    Phase.NONE: frozenset({Phase.COLLECT, Phase.SEAL}),
    Phase.COLLECT: frozenset({Phase.SEAL}),
    Phase.SEAL: frozenset({Phase.COLLECT, Phase.NOTIFY}),
    Phase.NOTIFY: frozenset(),
}
ERASURE_PHASES: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.NONE: frozenset({Phase.CHECK}),
    Phase.CHECK: frozenset({Phase.TREAT}),
    Phase.TREAT: frozenset({Phase.PROBE}),
    Phase.PROBE: frozenset({Phase.DESTROY_KEYS}),
    # Without a channel there is no letter to send.
    Phase.DESTROY_KEYS: frozenset({Phase.NOTIFY, Phase.FORGET}),
    Phase.NOTIFY: frozenset({Phase.FORGET}),
    Phase.FORGET: frozenset(),
}
IRREVERSIBLE: Final = frozenset(
    {Phase.TREAT, Phase.PROBE, Phase.DESTROY_KEYS, Phase.NOTIFY, Phase.FORGET}
)

"""Decisions as they are on the log, read by the one rule that says which records count."""

from dataclasses import dataclass

from rights.decisions import EMPTY, Decision, EventBody, Head, extend
from rights.events import Event
from schemas.catalogue import EVENTS
from schemas.codec import UndecodableError, decode, decode_as, encode


class Entry:
    """A valid decision, the head after it, and its events.

    Events are decoded when they are asked for: who only checks the chain need not know them, and
    who folds halts at one that it does not know.
    """

    __slots__ = ("_events", "decision", "head")

    def __init__(self, decision: Decision, events: tuple[Event, ...] | None, head: Head) -> None:
        self.decision = decision
        self.head = head
        self._events = events

    @property
    def events(self) -> tuple[Event, ...]:
        """The decision's events.

        Raises:
            UnknownEventError: one is from a later release.
        """
        if self._events is None:
            self._events = tuple(_event(body) for body in self.decision.events)
        return self._events


@dataclass(frozen=True, slots=True)
class Void:
    """A record that is not part of the log, and what it claimed to be."""

    claimed_seq: int


class UnknownEventError(Exception):
    """An event that this release does not know: folding must stop, checking may go on."""


@dataclass(slots=True)
class Chain:
    """Reads one partition's records in order and keeps the head."""

    head: Head = EMPTY

    def read(self, key: bytes | None, value: bytes | None) -> Entry | Void:
        """The next record as an entry, or as void; moves the head over entries only.

        Raises:
            UndecodableError: the record is no decision at all; the log is damaged.
        """
        decision = decode_as(Decision, value or b"")
        head = extend(self.head, decision, key or b"", value or b"")
        if head is None:
            return Void(decision.seq)
        self.head = head
        return Entry(decision, None, head)


def _event(body: EventBody) -> Event:
    event: Event
    try:
        event = decode(body.body)
    except UndecodableError as failure:
        raise UnknownEventError(body.type) from failure
    if not isinstance(event, EVENTS) or type(event).__name__ != body.type:
        raise UnknownEventError(body.type)
    return event


def event_body(event: Event) -> EventBody:
    return EventBody(type=type(event).__name__, body=encode(event))

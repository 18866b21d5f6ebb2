"""Decisions as they are on the log, read by the one rule that says which records count."""

from dataclasses import dataclass

from rights.decisions import EMPTY, Decision, EventBody, Head, Place, extend
from rights.events import Event
from schemas.catalogue import EVENTS
from schemas.codec import UndecodableError, decode, decode_as, decode_beginning, encode


@dataclass(frozen=True, slots=True)
class Unread:
    """A decision of which only the place was decoded."""

    place: Place
    octets: bytes


class Entry:
    """A valid decision, the head after it, and its events.

    Events are decoded when they are asked for: who only checks the chain need not know them, and
    who folds halts at one that it does not know. A sparing reader decodes decisions so as well.
    """

    __slots__ = ("_decision", "_events", "head", "place")

    def __init__(
        self, decision: Decision | Unread, events: tuple[Event, ...] | None, head: Head
    ) -> None:
        self.place: Place = decision.place if isinstance(decision, Unread) else decision
        self.head = head
        self._decision = decision
        self._events = events

    @property
    def decision(self) -> Decision:
        """The decision.

        Raises:
            UndecodableError: it was not read before, and nothing of it but its place is sound.
        """
        if isinstance(self._decision, Unread):
            self._decision = decode_as(Decision, self._decision.octets)
        return self._decision

    def may_hold(self, event: type) -> bool:
        """Whether an event of the type may be among its events; always true if one is."""
        if isinstance(self._decision, Unread):
            return event.__name__.encode() in self._decision.octets
        return any(body.type == event.__name__ for body in self._decision.events)

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
    # Decode no more than the chain needs; for readers that want few of the entries.
    is_sparing: bool = False

    def read(self, key: bytes | None, value: bytes | None) -> Entry | Void:
        """The next record as an entry, or as void; moves the head over entries only.

        Raises:
            UndecodableError: the record is no decision at all; the log is damaged.
        """
        octets = value or b""
        entry = self._entry(octets)
        head = extend(self.head, entry.place, key or b"", octets)
        if head is None:
            return Void(entry.place.seq)
        self.head = entry.head = head
        return entry

    def _entry(self, octets: bytes) -> Entry:
        if self.is_sparing and (place := decode_beginning(Place, Decision, octets)):
            return Entry(Unread(place, octets), None, self.head)
        return Entry(decode_as(Decision, octets), None, self.head)


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

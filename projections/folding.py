"""Entries in, changed rows out; holds no connection to anything.

Rule 1: rows follow from the log alone, so the same entries give the same rows however they were
cut into batches: that is what lets a rebuild equal what grew day by day.
Rule 2: the law is not written twice: requests are folded by `rights.subject.evolve`.
Rule 3: memory is bounded. A request that fell out of it is folded again from its own events, which
the timeline keeps as they are on the log.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from projections.views import commands, requests, sections, timeline
from projections.views.requests import Folded
from projections.views.table import Row
from rights import events as ev
from rights.decisions import Decision, Verdict
from rights.subject import Request, Subject, evolve
from schemas.log import Entry

REQUESTS_HELD_MAX: Final = 20_000
_FILED: Final = (ev.ExportSubmitted, ev.ErasureSubmitted)
_NOT_OF_A_REQUEST: Final = (
    ev.LogOpened,
    ev.DayTicked,
    ev.ClockSuspected,
    ev.ClockConfirmed,
    ev.CommandUnreadable,
    ev.PolicyPublished,
)
Recall = Callable[[Collection[str]], Mapping[str, Folded]]


@dataclass(slots=True)
class Changes:
    """What a batch of entries changes; `before` is each touched request as the tables have it."""

    commands: dict[tuple[str, int], Row] = field(default_factory=dict)
    timeline: list[Row] = field(default_factory=list)
    requests: dict[str, Folded] = field(default_factory=dict)
    before: dict[str, Request | None] = field(default_factory=dict)

    def request_rows(self) -> list[Row]:
        return [requests.row(folded) for folded in self.requests.values()]

    def changed_sources(self) -> Iterator[tuple[str, str]]:
        for request_id, folded in self.requests.items():
            before = self.before[request_id]
            for source in sections.changed_sources(before, folded.request):
                yield request_id, source

    def section_rows(self) -> Iterator[Row]:
        for request_id, source in self.changed_sources():
            yield from sections.rows(self.requests[request_id].request, source)

    def outdated_sources(self) -> list[tuple[str, str]]:
        """Of the changed sources those that the tables may hold rows of."""
        return [pair for pair in self.changed_sources() if self.before[pair[0]] is not None]


class Folding:
    """The requests that were touched last, and what entries make of them."""

    def __init__(self, recall: Recall, held_max: int = REQUESTS_HELD_MAX) -> None:
        self._recall = recall
        self._held_max = held_max
        self._held: OrderedDict[str, Folded] = OrderedDict()

    def fold(self, entries: Iterable[Entry]) -> Changes:
        """What these entries change. If they are not kept, this object must not be either."""
        entries = tuple(entries)
        self._recall_missing(entries)
        changes = Changes()
        for entry in entries:
            self._fold_entry(entry, changes)
        for request_id in changes.requests:
            self._held.move_to_end(request_id)
        while len(self._held) > self._held_max:
            self._held.popitem(last=False)
        return changes

    def _recall_missing(self, entries: Iterable[Entry]) -> None:
        filed: set[str] = set()
        wanted: set[str] = set()
        for entry in entries:
            for event in entry.events:
                if isinstance(event, _FILED):
                    filed.add(event.request_id)
                elif not isinstance(event, _NOT_OF_A_REQUEST):
                    wanted.add(event.request_id)
        missing = wanted - filed - self._held.keys()
        if missing:
            self._held.update(self._recall(missing))

    def _fold_entry(self, entry: Entry, changes: Changes) -> None:
        decision = entry.decision
        first: Folded | None = None
        touched: set[str] = set()
        for index, event in enumerate(entry.events):
            if isinstance(event, _NOT_OF_A_REQUEST):
                continue
            changes.timeline.append(timeline.row(event, index, decision))
            folded = self._fold_event(event, decision, changes)
            if folded is None:
                continue
            first = first or folded
            if event.request_id not in touched:
                touched.add(event.request_id)
                folded.version += 1
        self._answer(decision, first, changes)

    def _fold_event(
        self, event: ev.RequestEvent, decision: Decision, changes: Changes
    ) -> Folded | None:
        request_id = event.request_id
        folded = self._held.get(request_id)
        before = folded.request if folded else None
        after = evolved(before, event, decision.decided_at)
        if after is None:
            return None
        changes.before.setdefault(request_id, before)
        if folded is None:
            folded = self._held[request_id] = Folded(
                request=after,
                tenant_ref=decision.tenant_ref or "",
                subject_ref=decision.subject_ref or "",
                version=0,
                partition=decision.partition,
                seq=decision.seq,
            )
        folded.request, folded.seq = after, decision.seq
        changes.requests[request_id] = folded
        return folded

    def _answer(self, decision: Decision, about: Folded | None, changes: Changes) -> None:
        key = (decision.command.id, decision.partition)
        # A message that nobody could read never takes the place of an answer that was given.
        if decision.verdict is Verdict.UNREADABLE and key in changes.commands:
            return
        request = about.request if about else None
        changes.commands[key] = commands.row(
            decision,
            request.request_id if request else None,
            request.reference if request else None,
        )


def evolved(request: Request | None, event: ev.RequestEvent, at: datetime) -> Request | None:
    """The request after an event, by the law's own fold; None for one that was never filed."""
    known = {request.request_id: request} if request else {}
    subject = Subject(ref="", tenant_ref="", requests=known)
    return evolve(subject, event, at=at).requests.get(event.request_id)

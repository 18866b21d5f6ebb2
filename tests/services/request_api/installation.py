"""Everything around a service but its shell, in this process: broker, decider, vault, directory.

The decider is the real one, on a thread of its own; the keyring opens what the log entitles to, by
the keyring service's own rules; the clock moves when a test says so. Everybody is invented.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from logbook.following import Follower, Following
from logbook.reporting import Reporter
from plumbing.clock import Clock, ManualClock
from plumbing.directory import MemoryDirectory, Person
from plumbing.kafka import Delivery, Outgoing, Producer, Record
from plumbing.kafka.memory import MemoryBroker
from plumbing.vault import Field, Identity, MemoryKeyring, Permit, Put
from rights.commands import Actor, AttestedFact, PublishPolicy, SubmitErasure, SubmitExport
from rights.incoming import Body
from rights.orders import Order
from rights.policies import PROFILES, Policy, Role
from rights.references import tenant_ref
from rights.reports import Report
from rights.subject import Request
from schemas.codec import encode
from schemas.log import Entry
from schemas.topics import COMMANDS_CLOCK, COMMANDS_INTAKE
from schemas.wire import CommandMessage
from services.keyring.standing import Standing
from tests.support.asking import LOG_ID, PARTITIONS, SOURCES, make_topics
from tests.support.deciders import RunningDecider, deciding
from tests.support.waiting import until

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
ACME = "acme-wellbeing"
ADMIN = Actor(role=Role.ADMIN, ref="ad" * 16)
POLICY = replace(PROFILES["workspace-admin"], sources=SOURCES)


class FaultyProducer:
    """A producer whose `fault` is called before each record and may raise BrokerError."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.fault: Callable[[Outgoing], None] = lambda _: None

    def send(self, out: Outgoing, on_delivery: Any = None) -> None:
        self._producer.send(out, on_delivery)

    def send_and_wait(self, outs: Sequence[Outgoing], timeout: float) -> list[Delivery]:
        for out in outs:
            self.fault(out)
        return self._producer.send_and_wait(outs, timeout)

    def flush(self, timeout: float) -> int:
        return self._producer.flush(timeout)

    def close(self) -> None:
        self._producer.close()


class Installation:
    """Use it as a context. `entries` is the log so far, in the order in which it was read."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.broker = MemoryBroker(self.clock)
        self.connection = self.broker.connection("tests")
        self.people: dict[str, list[Person]] = {ACME: []}
        self.directory = MemoryDirectory({})
        self.directory._people = self.people
        self.keyring = MemoryKeyring(permit_of=self._permit)
        self.standing = Standing(self.clock)
        self.entries: list[Entry] = []
        self._listeners: list[Any] = [self.entries.append, self.standing.apply]
        self._deciding: AbstractContextManager[RunningDecider] | None = None
        self._numbers = itertools.count(1)

    def listen(self, listener: Any) -> None:
        """Have another reader fold the log; before the installation is entered."""
        self._listeners.append(listener)

    def __enter__(self) -> Self:
        make_topics(self.connection)
        self.producer = self.connection.producer()
        follower = Follower(self.connection, range(PARTITIONS), log_id=LOG_ID)
        self.following = Following(follower, self._apply)
        self.following.start()
        self.start_decider()
        return self

    def __exit__(self, *_failure: object) -> None:
        self.stop_decider()
        self.following.stop()
        self.producer.close()

    def _apply(self, entry: Entry) -> None:
        for listener in self._listeners:
            listener(entry)

    def _permit(self, order_or_grant_id: str) -> Permit | None:
        with self.following.lock:
            return self.standing.permit_for_order(
                order_or_grant_id
            ) or self.standing.permit_for_grant(order_or_grant_id)

    # The decider.

    def start_decider(self) -> None:
        self._deciding = deciding(self.connection, clock=self.clock)
        self._deciding.__enter__()

    def stop_decider(self) -> None:
        if self._deciding is not None:
            self._deciding.__exit__(None, None, None)
            self._deciding = None

    @contextmanager
    def without_decider(self) -> Iterator[None]:
        self.stop_decider()
        try:
            yield
        finally:
            self.start_decider()

    # People and what they ask for.

    def person(self, *roles: str, tenant: str = ACME, **handles: str) -> Person:
        """Somebody new in a tenant's directory."""
        number = next(self._numbers)
        person = Person(
            stable_id=f"person-{number:06}",
            email=f"ines.{number}@example.org",
            name=f"Ines Example {number}",
            registered_on=date(2024, 2, 29),
            roles=roles or ("member",),
            handles=handles or {"user_id": f"u-{number}", "customer_id": f"c-{number}"},
        )
        self.people[tenant].append(person)
        return person

    def put(self, person: Person, tenant: str = ACME) -> Put:
        """What request_api keeps of a person at filing."""
        fields = {
            "handles": Field(
                "work",
                {
                    "tenant": tenant,
                    "stable_id": person.stable_id,
                    "name": person.name,
                    "email": person.email,
                    "handles": dict(person.handles),
                },
            ),
            "comms": Field("comms", {"email": person.email, "name": person.name}),
            "reason": Field("audit", {"text": "closed the account"}),
        }
        identity = Identity(tenant, person.stable_id, person.email)
        return self.keyring.client("request_api").put(identity, fields, os.urandom(8).hex())

    def say(
        self,
        body: Body,
        actor: Actor,
        subject_ref: str | None = None,
        *,
        attested: tuple[AttestedFact, ...] = (),
        tenant: str = ACME,
    ) -> Entry:
        """Put a command on its topic and wait for its decision."""
        command_id = os.urandom(16).hex()
        message = CommandMessage(
            id=command_id,
            hash=b"",
            issuer="tests",
            actor=actor,
            subject_ref=subject_ref,
            tenant_ref=tenant_ref(tenant),
            attested=attested,
            issued_at=self.clock.now(),
            valid_until=None,
            body=encode(body),
        )
        topic = COMMANDS_CLOCK if actor.role is Role.CLOCK else COMMANDS_INTAKE
        key = (subject_ref or tenant_ref(tenant)).encode()
        self.producer.send_and_wait([Outgoing(topic=topic, key=key, value=encode(message))], 5)
        return self.decision(command_id)

    def decision(self, command_id: str) -> Entry:
        (entry,) = until(lambda: self.decisions(command_id), 30)
        return entry

    def decisions(self, command_id: str) -> list[Entry]:
        return [e for e in list(self.entries) if e.decision.command.id == command_id]

    def publish_policy(self, policy: Policy = POLICY, tenant: str = ACME) -> None:
        """Publish a policy and wait until all partitions decide by it."""
        self.say(PublishPolicy(policy=policy), ADMIN, tenant=tenant)
        knowing: set[int] = set()
        while len(knowing) < PARTITIONS:
            ref = os.urandom(16).hex()
            body = SubmitExport(handles_vault_id="v1")
            entry = self.say(body, Actor(role=Role.SUBJECT, ref=ref), ref, tenant=tenant)
            if not entry.decision.code:
                knowing.add(entry.decision.partition)

    def file_export(self, person: Person) -> tuple[str, str]:
        """A person asks for their data; the subject and the request."""
        put = self.put(person)
        body = SubmitExport(
            handles_vault_id=put.vault_ids["handles"], comms_vault_id=put.vault_ids["comms"]
        )
        entry = self.say(body, Actor(role=Role.SUBJECT, ref=put.subject_ref), put.subject_ref)
        assert entry.decision.code == ""
        return put.subject_ref, entry.decision.command.id

    def file_erasure(self, person: Person, *, by: Actor | None = None) -> tuple[str, str]:
        put = self.put(person)
        body = SubmitErasure(
            handles_vault_id=put.vault_ids["handles"],
            comms_vault_id=put.vault_ids["comms"],
            reason_vault_id=put.vault_ids["reason"],
        )
        actor = by or Actor(role=Role.SUBJECT, ref=put.subject_ref)
        attested = (self.fact("sole_administrator", "false"),)
        entry = self.say(body, actor, put.subject_ref, attested=attested)
        assert entry.decision.code == ""
        return put.subject_ref, entry.decision.command.id

    def fact(self, fact: str, value: str) -> AttestedFact:
        return AttestedFact(fact=fact, value=value, source="tests", as_of=self.clock.now())

    # What the log says.

    def request(self, subject_ref: str, request_id: str) -> Any:
        with self.following.lock:
            request: Request | None = self.standing.book.request(subject_ref, request_id)
        assert request is not None
        return request

    def events(self, request_id: str) -> list[str]:
        return [type(event).__name__ for _, event in self._events(request_id)]

    def event(self, request_id: str, kind: type) -> Any:
        """The one event of a kind."""
        (found,) = [event for _, event in self._events(request_id) if isinstance(event, kind)]
        return found

    def _events(self, request_id: str) -> list[tuple[Entry, Any]]:
        return [
            (entry, event)
            for entry in list(self.entries)
            for event in entry.events
            if getattr(event, "request_id", None) == request_id
        ]

    def owed(self, request_id: str, kind: type) -> list[Any]:
        with self.following.lock:
            found = [p.order for p in self.standing.book.all()]
        return [o for o in found if o.request_id == request_id and isinstance(o, kind)]

    # What workers say, and what lies on topics.

    def reporter(self, worker: str, clock: Clock | None = None) -> Reporter:
        return Reporter(worker=worker, clock=clock or self.clock, entropy=os.urandom)

    def report(self, worker: str, order: Order, body: Report, **facts: str) -> None:
        """Report, and wait until the order is owed no more."""
        attested = tuple(self.fact(name, value) for name, value in facts.items())
        self.reporter(worker).send(self.producer, order, body, attested)
        until(lambda: order not in self.owed(order.request_id, type(order)), 30)

    def records(self, topic: str) -> list[Record]:
        """Everything that lies on a topic."""
        reader = self.connection.reader()
        tps = [(topic, p) for p in range(PARTITIONS)]
        ends = reader.end_offsets(tps)
        reader.assign(dict.fromkeys(tps, 0))
        found: list[Record] = []
        while any(reader.position(tp) < end for tp, end in ends.items()):
            found += reader.poll(1000, 0.01)
        reader.close()
        return found

    def pass_time(self, **units: float) -> None:
        self.clock.advance(timedelta(**units))

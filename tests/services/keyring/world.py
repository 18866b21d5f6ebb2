"""A real log, real orders and invented people around a vault, whichever it is.

Everything is decided by the decider's own rules (`tests.support.log_writer`); nothing is made
pending by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from plumbing.clock import ManualClock
from plumbing.kafka import Connection, Outgoing, TopicSpec
from plumbing.kafka.memory import MemoryBroker
from plumbing.vault import Field, Identity, Opened, Put, Vault
from rights import commands as cmd
from rights.orders import (
    CollectSections,
    DestroyKeys,
    KeyScope,
    Order,
    PlanSections,
    ProbeSections,
    RemoveBundle,
    SealBundle,
    SendNotice,
    TreatSections,
)
from rights.policies import Role
from rights.reports import ReportBundleSealed
from rights.subject import pending_orders
from schemas.codec import decode, decode_as, encode
from schemas.log import Entry
from schemas.topics import ORDERS_KEYS, catalogue, reports
from schemas.wire import CommandMessage, OrderMessage
from tests.support.log_writer import ADMIN, SOURCES, START, LogWriter

TENANT = "acme-wellbeing"
OTHER_TENANT = "northwind-care"
MAYA = Identity(TENANT, "account-4711", "maya.lindqvist@example.org")
MAYA_HANDLES = {
    "tenant": TENANT,
    "stable_id": "account-4711",
    "name": "Maya Lindqvist",
    "email": "maya.lindqvist@example.org",
    "handles": {"user_id": "u-88121"},
}
MAYA_COMMS = {"email": "maya.lindqvist@example.org", "name": "Maya Lindqvist"}
REASON = {"text": "Maya asked for it by telephone"}
CONTENTS = {"file_name": "maya-lindqvist.zip", "sections": []}

Kind = TypeVar("Kind", bound=Order)
Tell = Callable[["Log"], None]


def broker() -> MemoryBroker:
    """An empty broker with every topic of the catalogue."""
    made = MemoryBroker()
    topics = catalogue(SOURCES, ["journal-app"])
    admin = made.connection("setup").admin()
    admin.ensure_topics([TopicSpec(name=topic.name, partitions=3) for topic in topics])
    return made


@dataclass
class Log:
    """A log that tells its readers, by `tell`, whenever something was decided."""

    tell: Tell
    clock: ManualClock
    writer: LogWriter = field(default_factory=LogWriter)

    def __post_init__(self) -> None:
        self.writer.publish_policy()
        self._told()

    def say(self, body: object, actor: cmd.Actor, ref: str, **more: object) -> Entry | None:
        entry = self.writer.say(body, actor, subject=ref, **more)  # type: ignore[arg-type]
        self._told()
        return entry

    def wait(self, time: timedelta) -> None:
        """Let time pass, with its day ticks: after a silence the decider trusts no clock."""
        while time > _DAY:
            self.writer.wait(_DAY)
            self.writer.tick()
            time -= _DAY
        self.writer.wait(time)
        self._told()

    def _told(self) -> None:
        self.clock.set_wall(self.writer.now)
        self.tell(self)

    def at(self, ref: str) -> tuple[int, int]:
        """The last decision about a person."""
        of_ref = [e.decision for e in self.writer.entries if e.decision.subject_ref == ref]
        return (of_ref[-1].partition, of_ref[-1].seq)

    def orders(self, ref: str, kind: type[Kind]) -> list[Kind]:
        return [o for o in pending_orders(self.writer.subject(ref)) if isinstance(o, kind)]

    def order(self, ref: str, kind: type[Kind], source: str | None = None) -> Kind:
        """The one pending order of the kind."""
        found = [o for o in self.orders(ref, kind) if source in (None, getattr(o, "source", None))]
        assert found, f"no {kind.__name__} is pending"
        return found[0]

    def carry_out(self, ref: str, *kinds: type[Order]) -> None:
        """Let workers succeed until no order of these kinds is left."""
        self.writer.carry_out(ref, while_owed=kinds)
        self._told()

    def file_export(self, put: Put) -> str:
        body = cmd.SubmitExport(
            handles_vault_id=put.vault_ids["handles"],
            comms_vault_id=put.vault_ids.get("comms"),
            reason_vault_id=put.vault_ids.get("reason"),
        )
        return self._file(body, cmd.Actor(role=Role.SUBJECT, ref=put.subject_ref), put.subject_ref)

    def file_erasure(self, put: Put) -> str:
        body = cmd.SubmitErasure(
            handles_vault_id=put.vault_ids["handles"],
            comms_vault_id=put.vault_ids.get("comms"),
            reason_vault_id=put.vault_ids["reason"],
        )
        return self._file(body, ADMIN, put.subject_ref)

    def _file(self, body: object, actor: cmd.Actor, ref: str) -> str:
        number = next(_filings)
        alone = cmd.AttestedFact(
            fact="sole_administrator", value="false", source="directory", as_of=START
        )
        request_id = f"{number:032x}"
        entry = self.say(body, actor, ref, command_id=request_id, attested=(alone,))
        assert entry, "the filing was ignored"
        assert entry.events, "the filing was refused"
        return request_id

    def erase_up_to_keys(self, ref: str, request_id: str) -> DestroyKeys:
        """An erasure, confirmed and carried out at the sources: next, keys are destroyed."""
        self.writer.carry_out(ref, while_owed=(PlanSections,))
        assert self.writer.confirm_erasure(ref, request_id, skip_grace=True)
        self.carry_out(ref, PlanSections, TreatSections, ProbeSections, RemoveBundle)
        return self.destruction(ref, KeyScope.CONTENT)

    def destruction(self, ref: str, scope: KeyScope) -> DestroyKeys:
        """The pending order to destroy in this scope."""
        (order,) = [o for o in self.orders(ref, DestroyKeys) if o.scope is scope]
        return order

    def expire(self, ref: str) -> DestroyKeys:
        """A finished export's time runs out and its archive is removed: next, its keys go."""
        self.carry_out(ref, CollectSections, SealBundle, SendNotice)
        self.wait(timedelta(days=8))
        assert self.writer.fire_due(ref)
        self.carry_out(ref, RemoveBundle)
        return self.order(ref, DestroyKeys)

    def seal(self, order: SealBundle, contents_vault_id: str) -> None:
        """The bundler reports a finished archive, and the notifier its letter."""
        report = ReportBundleSealed(
            request_id=order.request_id,
            order_id=order.order_id,
            object_key=f"exports/{order.order_id}",
            ciphertext_sha256=b"\1" * 32,
            size_bucket=4096,
            contents_vault_id=contents_vault_id,
            has_records=True,
        )
        assert self.writer.report(report, order)
        self.carry_out(order.subject_ref, SendNotice)

    def grant(self, ref: str, request_id: str) -> str:
        """The person asks for a download; the id of the grant."""
        body = cmd.GrantDownload(request_id=request_id, token_sha256="7" * 64)
        entry = self.say(body, cmd.Actor(role=Role.SUBJECT, ref=ref), ref)
        assert entry, "the download was ignored"
        assert entry.events, "the download was refused"
        return entry.decision.command.id


_DAY = timedelta(days=1)
_filings = itertools.count(0xE0)


def publish_to(connection: Connection) -> Tell:
    return lambda log: log.writer.publish(connection)


@dataclass
class Dispatch:
    """What lies between the decider and the keyring: orders out, reports back."""

    connection: Connection
    log: Log
    _read: int = 0

    def send(self, order: DestroyKeys) -> None:
        partition, seq = self.log.at(order.subject_ref)
        message = OrderMessage(partition=partition, seq=seq, body=encode(order))
        out = Outgoing(topic=ORDERS_KEYS, key=order.subject_ref.encode(), value=encode(message))
        producer = self.connection.producer()
        producer.send_and_wait([out], 10)
        producer.close()

    def reports(self) -> list[CommandMessage]:
        """Every report of the keyring, oldest first."""
        reader = self.connection.reader()
        places = [(reports("keyring"), p) for p in range(3)]
        reader.assign(dict.fromkeys(places, 0))
        ends = reader.end_offsets(places)
        found = []
        while any(reader.position(p) < end for p, end in ends.items()):
            found += reader.poll(100, 0.05)
        reader.close()
        return [decode_as(CommandMessage, record.value or b"") for record in found]

    def decide(self, order: DestroyKeys) -> None:
        """Put the keyring's new reports before the decider."""
        for message in self.reports()[self._read :]:
            self.log.writer.report(decode(message.body), order)
            self._read += 1
        self.log.wait(timedelta(0))


def maya_fields(**more: Field) -> Mapping[str, Field]:
    return {"handles": Field("work", MAYA_HANDLES), "comms": Field("comms", MAYA_COMMS), **more}


def open_for(vault: Vault, log: Log, order: Order) -> Opened:
    return vault.open(order_id=order.order_id, at=log.at(order.subject_ref))

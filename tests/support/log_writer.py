"""A log made by the decider's own rules, without a broker: what is asked is considered and chained.

Nothing here decides anything: every record comes out of `services.decider.deciding.Deciding`, so a
log of this writer is a log that a decider would have written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from logbook.policies import fold_policies
from plumbing.kafka import Connection, Outgoing, Record, partition_for
from rights import commands as cmd
from rights import orders as od
from rights import reports as rp
from rights.incoming import REPORTS_OF, is_believed
from rights.ledger import Ledger
from rights.policies import PROFILES, Policy, PolicyBook, Role
from rights.references import tenant_ref
from rights.subject import Request, Subject, pending_orders, timers
from schemas.codec import encode
from schemas.log import Entry
from schemas.topics import COMMANDS_INTAKE, DECISIONS, input_topics
from schemas.wire import CommandMessage
from services.decider.deciding import Deciding

LOG_ID = "7f3a" * 8
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOURCES = ("billing", "journal")
TENANT = tenant_ref("acme-wellbeing")
ADMIN = cmd.Actor(role=Role.ADMIN, ref="a0" * 16)
OFFICER = cmd.Actor(role=Role.SYSTEM_ADMIN, ref="b0" * 16)
SCHEDULER = cmd.Actor(role=Role.CLOCK, ref="scheduler")
SECOND = timedelta(seconds=1)
PATIENCE_S = 10.0
_CHANNELS = input_topics(SOURCES)
_TOPICS = {channel: topic for topic, channel in _CHANNELS.items()}


def person(number: int) -> str:
    """The subject_ref of an invented person."""
    return _hex(f"person {number}")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def eventful_log(people: int = 4) -> LogWriter:
    """A log in which a bit of everything happened, the same one every time."""
    log = LogWriter()
    log.file_export(person(0))  # Before there is a policy, so it is refused.
    log.publish_policy()
    log.tick()
    for number in range(0, people * 5, 5):
        ready, open_, failed, erased, waiting = (person(number + n) for n in range(5))
        request_id = log.file_export(ready)
        log.carry_out(ready)
        log.download(ready, request_id)
        log.file_export(open_, sections=("entries",))
        log.file_export(open_)
        log.carry_out(open_, while_owed=(od.CollectSections,))
        log.file_export(failed)
        log.source_fails(failed)
        log.file_export(erased)
        request_id = log.file_erasure(erased, actor=ADMIN)
        log.carry_out(erased, while_owed=(od.PlanSections,))
        log.confirm_erasure(erased, request_id, skip_grace=True)
        log.carry_out(erased)
        request_id = log.file_erasure(waiting)
        log.receive(COMMANDS_INTAKE, number % log.partitions, b"no command")
        if number % 2:
            log.cancel(waiting, request_id)
    log.publish_policy()
    log.wait(timedelta(days=8))
    log.tick()  # After so long a silence the clock is suspect, until somebody confirms it.
    for partition in range(log.partitions):
        log.say(cmd.ConfirmClock(), OFFICER, tenant=None, partition=partition)
    for number in range(0, people * 5, 5):
        log.fire_due(person(number))
        log.carry_out(person(number))
    return log


@dataclass
class LogWriter:
    """One log. `records` is what a broker would hold of it, `entries` what its readers make of it.

    Time moves by a second before each command, and otherwise only by `wait`.
    """

    log_id: str = LOG_ID
    partitions: int = 3
    now: datetime = START
    records: list[Record] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    _book: PolicyBook = field(default_factory=PolicyBook)
    _deciders: dict[int, Deciding] = field(default_factory=dict)
    _inputs: dict[tuple[str, int], int] = field(default_factory=dict)
    _offsets: dict[int, int] = field(default_factory=dict)
    _asked: int = 0
    _published: int = 0

    def __post_init__(self) -> None:
        """Every partition of a log begins with its genesis."""
        for partition in range(self.partitions):
            decider = Deciding(
                ledger=Ledger(partition),
                book=self._book,
                log_id=self.log_id,
                channels=_CHANNELS,
                faults={},
            )
            self._deciders[partition] = decider
            self._keep(decider.genesis(self.partitions, now=self.now))

    def wait(self, time: timedelta) -> None:
        self.now += time

    def say(
        self,
        body: Any,
        actor: cmd.Actor,
        *,
        subject: str | None = None,
        tenant: str | None = TENANT,
        attested: cmd.Attested = (),
        command_id: str | None = None,
        valid_for: timedelta | None = None,
        partition: int | None = None,
    ) -> Entry | None:
        """Put a command or report before the decider; the entry it wrote, or None if it did not."""
        self.now += SECOND
        self._asked += 1
        encoded = encode(body)
        message = CommandMessage(
            id=command_id or _hex(f"command {self._asked}"),
            hash=hashlib.sha256(encoded).digest(),
            issuer=actor.ref if actor.role is Role.WORKER else "request_api",
            actor=actor,
            subject_ref=subject,
            tenant_ref=tenant,
            attested=attested,
            issued_at=self.now,
            valid_until=self.now + valid_for if valid_for else None,
            body=encoded,
        )
        key = subject or tenant or ""
        at = partition_for(key.encode(), self.partitions) if partition is None else partition
        return self.receive(_topic_for(body), at, encode(message))

    def receive(self, topic: str, partition: int, value: bytes) -> Entry | None:
        """Let bytes arrive on an input topic, whatever they are."""
        offset = self._inputs.get((topic, partition), 0)
        self._inputs[topic, partition] = offset + 1
        record = Record(topic, partition, offset, b"", value, self.now, ())
        batch = self._deciders[partition].step([record], now=self.now)
        for written in batch.written:
            self._keep(written)
        return batch.written[0].entry if batch.written else None

    def _keep(self, written: Any) -> None:
        out = written.outgoing
        partition = out.partition
        offset = self._offsets.get(partition, 0)
        self._offsets[partition] = offset + 1
        self.records.append(Record(DECISIONS, partition, offset, out.key, out.value, self.now, ()))
        self.entries.append(written.entry)
        fold_policies(self._book, written.entry)

    def publish(self, connection: Connection) -> None:
        """Send what was not sent before to a broker on which the log's topic exists."""
        fresh = self.records[self._published :]
        outs = [
            Outgoing(topic=r.topic, key=r.key, value=r.value or b"", partition=r.partition)
            for r in fresh
        ]
        producer = connection.producer()
        producer.send_and_wait(outs, PATIENCE_S)
        producer.close()
        self._published = len(self.records)

    def subject(self, ref: str) -> Subject:
        partition = partition_for(ref.encode(), self.partitions)
        return self._deciders[partition].ledger.subject(ref, TENANT)

    def request(self, ref: str, request_id: str) -> Request:
        return self.subject(ref).requests[request_id]

    # What people do.

    def publish_policy(self, policy: Policy | None = None, *, tenant: str = TENANT) -> Entry | None:
        chosen = policy or replace(PROFILES["workspace-admin"], sources=SOURCES)
        return self.say(cmd.PublishPolicy(policy=chosen), OFFICER, tenant=tenant)

    def file_export(self, ref: str, *, tenant: str = TENANT, sections: tuple[str, ...] = ()) -> str:
        """A person asks for their own data; the id of the request, whatever the answer was."""
        body = cmd.SubmitExport(
            sections=sections,
            handles_vault_id=_hex(f"handles {ref}"),
            comms_vault_id=_hex(f"comms {ref}"),
        )
        return self._file(body, cmd.Actor(role=Role.SUBJECT, ref=ref), ref, tenant)

    def file_erasure(self, ref: str, *, actor: cmd.Actor | None = None) -> str:
        body = cmd.SubmitErasure(
            handles_vault_id=_hex(f"handles {ref}"),
            comms_vault_id=_hex(f"comms {ref}"),
            reason_vault_id=_hex(f"reason {ref}"),
        )
        return self._file(body, actor or cmd.Actor(role=Role.SUBJECT, ref=ref), ref, TENANT)

    def _file(self, body: Any, actor: cmd.Actor, ref: str, tenant: str) -> str:
        command_id = _hex(f"filing {self._asked}")
        attested = (self._fact("sole_administrator", "false"),)
        self.say(body, actor, subject=ref, tenant=tenant, attested=attested, command_id=command_id)
        return command_id

    def _fact(self, fact: str, value: str) -> cmd.AttestedFact:
        return cmd.AttestedFact(fact=fact, value=value, source="directory", as_of=self.now)

    def confirm_erasure(self, ref: str, request_id: str, *, skip_grace: bool) -> Entry | None:
        erasure = self.request(ref, request_id)
        body = cmd.ConfirmErasure(
            request_id=request_id,
            plan_hash=getattr(erasure, "plan_hash", ""),
            reason_vault_id=_hex(f"confirm {request_id}"),
            skip_grace=skip_grace,
            skip_ground="WRITTEN_WAIVER" if skip_grace else None,
        )
        attested = (
            self._fact("sole_administrator", "false"),
            self._fact("typed_email_matches", "true"),
        )
        return self.say(body, ADMIN, subject=ref, attested=attested)

    def cancel(self, ref: str, request_id: str) -> Entry | None:
        actor = cmd.Actor(role=Role.SUBJECT, ref=ref)
        return self.say(cmd.CancelRequest(request_id=request_id), actor, subject=ref)

    def download(self, ref: str, request_id: str) -> Entry | None:
        actor = cmd.Actor(role=Role.SUBJECT, ref=ref)
        token_sha256 = hashlib.sha256(request_id.encode()).hexdigest()
        body = cmd.GrantDownload(request_id=request_id, token_sha256=token_sha256)
        return self.say(body, actor, subject=ref)

    # What the clock and the workers do.

    def tick(self) -> None:
        """A day begins in every partition."""
        for partition in range(self.partitions):
            body = cmd.DayTick(boot_id="boot-1", boot_clock_ms=(self.now - START) // SECOND * 1000)
            self.say(body, SCHEDULER, tenant=None, partition=partition)

    def fire_due(self, ref: str) -> list[Entry]:
        """Fire every timer of a person whose time has come."""
        due = [t for t in timers(self.subject(ref)) if t.due_at <= self.now]
        fired = [
            self.say(
                cmd.FireTimer(request_id=t.request_id, timer=t.name, due_at=t.due_at),
                SCHEDULER,
                subject=ref,
            )
            for t in due
        ]
        return [entry for entry in fired if entry is not None]

    def carry_out(self, ref: str, *, while_owed: tuple[type, ...] = (object,)) -> None:
        """Let workers succeed at the person's orders until none of these kinds is owed."""
        while owed := [o for o in pending_orders(self.subject(ref)) if isinstance(o, while_owed)]:
            for report in self._successes(owed[0]):
                self.report(report, owed[0])

    def source_fails(self, ref: str) -> None:
        """The first source that owes the person something is away, and then says no."""
        order = next(o for o in pending_orders(self.subject(ref)) if isinstance(o, od.SourceOrder))
        to = {"request_id": order.request_id, "order_id": order.order_id, "source": order.source}
        self.report(rp.ReportSourceUnavailable(**to, code="TIMED_OUT"), order)
        self.report(rp.ReportSourceRefused(**to, code="SCHEMA_MISMATCH"), order)

    def report(self, body: rp.Report, order: od.Order) -> Entry | None:
        worker = cmd.Actor(role=Role.WORKER, ref=_channel_for(body).removeprefix(REPORTS_OF))
        attested = (self._fact("sole_administrator", "false"),)
        return self.say(body, worker, subject=order.subject_ref, attested=attested)

    def _successes(self, order: od.Order) -> Iterator[rp.Report]:
        to = {"request_id": order.request_id, "order_id": order.order_id}
        match order:
            case od.CollectSections(source=source):
                run_id = _hex(f"run {order.order_id}")
                yield rp.ReportCollectionStarted(**to, source=source, run_id=run_id)
                extent = _extent(source, run_id, self.now)
                yield rp.ReportSectionsCollected(**to, source=source, extent=extent)
            case od.PlanSections(source=source):
                yield rp.ReportSectionsPlanned(
                    **to, source=source, declaration_hash=_hex(source), items=_plan(source)
                )
            case od.TreatSections(source=source):
                yield rp.ReportStepStarted(**to, source=source)
                yield rp.ReportSectionsTreated(**to, source=source, results=_treated(source))
            case od.ProbeSections(source=source):
                yield rp.ReportSectionsProbed(
                    **to, source=source, watermark="42", results=_probed(source)
                )
            case _:
                yield _finished(order, to)


def _finished(order: od.Order, to: dict[str, str]) -> rp.Report:
    match order:
        case od.SealBundle():
            return rp.ReportBundleSealed(
                **to,
                object_key=f"exports/{order.order_id}",
                ciphertext_sha256=hashlib.sha256(order.order_id.encode()).digest(),
                size_bucket=4096,
                contents_vault_id=_hex(f"contents {order.request_id}"),
                has_records=True,
            )
        case od.RemoveBundle():
            return rp.ReportBundleRemoved(**to)
        case od.SendNotice():
            return rp.ReportNoticeSent(**to)
        case _:
            return rp.ReportKeysDestroyed(**to, fingerprints=(_hex(order.order_id),))


def _extent(source: str, run_id: str, at: datetime) -> rp.Extent:
    return rp.Extent(
        run_id=run_id,
        partition=0,
        runs=(rp.OffsetRun(first=3, last=5),),
        chunks=3,
        ciphertext_sha256=hashlib.sha256(run_id.encode()).digest(),
        watermark="41",
        collected_at=at,
        sections=tuple(section for section, _ in _sections(source)),
    )


def _sections(source: str) -> tuple[tuple[str, str], ...]:
    return (("invoices", "retain"),) if source == "billing" else (("entries", "delete"),)


def _plan(source: str) -> tuple[rp.PlannedItem, ...]:
    return tuple(
        rp.PlannedItem(
            section=section,
            item_class=section,
            treatment=treatment,
            basis="TAX" if treatment == "retain" else "",
            keep_rule="7y" if treatment == "retain" else "",
        )
        for section, treatment in _sections(source)
    )


def _treated(source: str) -> tuple[rp.TreatedSection, ...]:
    return tuple(
        rp.TreatedSection(
            section=section,
            deleted_bucket=8 if treatment == "delete" else 0,
            retained_bucket=2 if treatment == "retain" else 0,
        )
        for section, treatment in _sections(source)
    )


def _probed(source: str) -> tuple[rp.ProbedSection, ...]:
    return tuple(
        rp.ProbedSection(section=section, retained_bucket=2 if treatment == "retain" else 0)
        for section, treatment in _sections(source)
    )


def _channel_for(body: Any) -> str:
    return next(channel for channel in _TOPICS if is_believed(channel, body))


def _topic_for(body: Any) -> str:
    return _TOPICS[_channel_for(body)]

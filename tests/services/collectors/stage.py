"""A person's export on a broker in memory, with a real log: every report is really decided.

The log is written by the decider's own rules (`LogWriter`); workers read it, the vault and their
orders as they do in a process. Nothing is decided until `decide` is called.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Self

from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from logbook.sealing import fragment_context
from plumbing.clock import ManualClock
from plumbing.kafka import BrokerError, Connection, Delivery, Outgoing, Record, TopicSpec
from plumbing.kafka.memory import MemoryBroker
from plumbing.vault import Field, Identity, MemoryKeyring, Permit
from proofs import envelope
from rights import commands as cmd
from rights.export.state import Export
from rights.orders import CollectSections, Order
from rights.policies import PROFILES, Policy, Role
from rights.reports import Extent
from rights.subject import pending_orders
from schemas.codec import decode, decode_as, encode
from schemas.fragments import FragmentHeader, unpack
from schemas.topics import catalogue, collect_orders, fragments, reports
from schemas.wire import CommandMessage, OrderMessage
from services.collectors.collecting import Collector, Surroundings
from services.keyring.entitlements import permit_for_order
from sources.contract import Source
from tests.services.collectors.people import MemorySource
from tests.support.log_writer import LOG_ID, SOURCES, START, LogWriter

PARTITIONS = 3
TENANT_NAME = "acme-wellbeing"
INES: dict[str, Any] = {
    "tenant": TENANT_NAME,
    "stable_id": "person-ines",
    "name": "Ines Example",
    "email": "ines@example.org",
    "handles": {"user_id": "u-17", "customer_id": "c-17", "unused": "never shown"},
}
PATIENCE_S = 10.0


def journal(rows: int = 3, **changes: Any) -> MemorySource:
    entries = [{"id": i, "body": f"entry {i} é 🙂"} for i in range(rows)]
    return MemorySource(name="journal", rows={"entries": {"u-17": entries}, "moods": {}}, **changes)


def billing() -> MemorySource:
    return MemorySource(name="billing", rows={"invoices": {"u-17": [{"id": 1, "total": "12.50"}]}})


class MemoryPublisher:
    """`publishing.Publisher` over a broker in memory."""

    def __init__(self, connection: Connection) -> None:
        self._producer = connection.producer()
        self.fault: Callable[[Outgoing], None] = lambda _: None

    async def send(self, out: Outgoing) -> asyncio.Future[Any]:
        self.fault(out)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def settle(result: Delivery | BrokerError) -> None:
            if answer.cancelled():
                return
            if isinstance(result, BrokerError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        def answered(result: Delivery | BrokerError) -> None:
            loop.call_soon_threadsafe(settle, result)

        self._producer.send(out, answered)
        return answer


@dataclass
class Stage:
    """One person, Ines, and her requests. Use it as a context."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    sources: Mapping[str, Source] = field(default_factory=dict)
    policy: Policy = field(
        default_factory=lambda: replace(PROFILES["workspace-admin"], sources=SOURCES)
    )
    writer: LogWriter = field(default_factory=lambda: LogWriter(partitions=PARTITIONS))
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))

    def __post_init__(self) -> None:
        self.connection = self.broker.connection("stage")
        specs = [
            TopicSpec(name=t.name, partitions=PARTITIONS, config=t.settings())
            for t in catalogue(SOURCES, ())
        ]
        self.connection.admin().ensure_topics(specs)
        self.keyring = MemoryKeyring(permit_of=self._permit)
        self.book = OrderBook()
        follower = Follower(self.connection, range(PARTITIONS), log_id=LOG_ID)
        self.following = Following(follower, self.book.apply)
        self.threads = ThreadPoolExecutor(8)
        self._entropy = itertools.count(1)
        self._reading = self.connection.reader()
        self._decided: dict[tuple[str, int], int] = {}
        put = self.keyring.client("request_api").put(
            Identity(TENANT_NAME, INES["stable_id"]), {"handles": Field("work", INES)}, "put-1"
        )
        self.ines = put.subject_ref
        self.handles_vault_id = put.vault_ids["handles"]

    def __enter__(self) -> Self:
        self.writer.publish_policy(self.policy)
        self.writer.publish(self.connection)
        self.following.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self.following.stop()
        self.threads.shutdown()

    def _permit(self, order_id: str) -> Permit | None:
        order = next((o for o in self.owed() if o.order_id == order_id), None)
        return permit_for_order(order) if order else None

    def random(self, count: int) -> bytes:
        return next(self._entropy).to_bytes(count, "big")

    def reporter(self, worker: str) -> Reporter:
        return Reporter(worker=worker, clock=self.clock, entropy=self.random)

    # What people and the decider do.

    def file_export(self, sections: tuple[str, ...] = ()) -> str:
        """Ines asks for her data; the id of her request."""
        body = cmd.SubmitExport(sections=sections, handles_vault_id=self.handles_vault_id)
        actor = cmd.Actor(role=Role.SUBJECT, ref=self.ines)
        request_id = f"e{len(self.writer.records):031x}"
        self.writer.say(body, actor, subject=self.ines, command_id=request_id)
        self.publish()
        return request_id

    def cancel(self, request_id: str) -> None:
        self.writer.cancel(self.ines, request_id)
        self.publish()

    def publish(self) -> None:
        """Everybody learns what was decided."""
        self.writer.publish(self.connection)
        ends = {e.decision.partition: e.decision.seq for e in self.writer.entries}
        for partition, seq in ends.items():
            assert self.following.wait_for(partition, seq, PATIENCE_S)

    def decide(self, *workers: str) -> list[Any]:
        """Let the decider read the reports that came since; their bodies, oldest first."""
        heard = []
        for name in workers or (*SOURCES, "bundler"):
            for record in self.records(reports(name), fresh=True):
                self.writer.receive(record.topic, record.partition, record.value or b"")
                message = decode_as(CommandMessage, record.value or b"")
                heard.append(decode(message.body))
        self.publish()
        return heard

    def owed(self) -> list[Order]:
        return list(pending_orders(self.writer.subject(self.ines)))

    def owed_of(self, kind: type, source: str = "") -> Any:
        """The one pending order of a kind."""
        found = [
            o
            for o in self.owed()
            if isinstance(o, kind) and (not source or o.source == source)  # type: ignore[union-attr]
        ]
        (order,) = found
        return order

    def export(self, request_id: str) -> Export:
        request = self.writer.request(self.ines, request_id)
        assert isinstance(request, Export)
        return request

    # What lies on topics.

    def order_message(self, order: Order) -> bytes:
        entry = next(e for e in reversed(self.writer.entries) if e.decision.subject_ref)
        at = entry.decision
        return encode(OrderMessage(partition=at.partition, seq=at.seq, body=encode(order)))

    def order_record(self, order: Order, offset: int = 0) -> Record:
        topic = collect_orders(getattr(order, "source", ""))
        key = order.subject_ref.encode()
        return Record(topic, 0, offset, key, self.order_message(order), START, ())

    def records(self, topic: str, *, fresh: bool = False) -> list[Record]:
        """Everything on a topic, or what came since the last time it was asked so."""
        tps = [(topic, p) for p in range(PARTITIONS)]
        ends = self._reading.end_offsets(tps)
        starts = {tp: self._decided.get(tp, 0) if fresh else 0 for tp in tps}
        self._reading.assign(starts)
        found: list[Record] = []
        while any(self._reading.position(tp) < end for tp, end in ends.items()):
            found += self._reading.poll(1000, 0.01)
        if fresh:
            self._decided.update(ends)
        return found

    def fragments(self, source: str = "journal") -> list[Record]:
        return self.records(fragments(source))

    def opened(self, order: CollectSections, extent: Extent) -> list[tuple[FragmentHeader, bytes]]:
        """What the fragments of an extent hold; raises `Tampered` if they are not of this run."""
        key = self.keyring.keys[order.request_id, order.source][1]
        offsets = {o for run in extent.runs for o in range(run.first, run.last + 1)}
        values = [
            r.value or b""
            for r in self.fragments(order.source)
            if r.partition == extent.partition and r.offset in offsets
        ]
        return [
            unpack(
                envelope.open_sealed(
                    key.key,
                    value,
                    fragment_context(
                        order,
                        source=order.source,
                        run_id=extent.run_id,
                        ordinal=ordinal,
                        is_last=ordinal == len(values) - 1,
                    ),
                )
            )
            for ordinal, value in enumerate(values)
        ]

    # Workers.

    def collector(self, *, orders_max: int = 4, **changes: Any) -> Collector:
        """Call it inside a running event loop."""
        around = Surroundings(
            sources=self.sources,
            vault=self.keyring.client("collectors"),
            following=self.following,
            book=self.book,
            reporter=self.reporter("collectors"),
            publisher=MemoryPublisher(self.connection),
            clock=self.clock,
            threads=self.threads,
            entropy=self.random,
            pause=lambda _: asyncio.sleep(0),
        )
        return Collector(replace(around, **changes), orders_max)

    def collect(self, source: str = "journal", **changes: Any) -> list[Any]:
        """Carry out the pending order of a source; the reports it led to, decided."""
        order = self.owed_of(CollectSections, source)
        asyncio.run(self.carry_out(order, changes))
        return self.decide(source)

    def collect_all(self) -> None:
        for source in self.sources:
            self.collect(source)

    async def carry_out(self, order: CollectSections, changes: dict[str, Any]) -> None:
        collector = self.collector(**changes)
        acknowledged = asyncio.Event()
        await collector.take(self.order_record(order), acknowledged.set)
        await settled(acknowledged, collector)
        await collector.stop()


async def settled(acknowledged: asyncio.Event, collector: Collector) -> None:
    """Wait until a record is acknowledged; raise what killed the collector."""
    waiting = asyncio.create_task(acknowledged.wait())
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not waiting.done():
        if collector.failure is not None:
            waiting.cancel()
            raise collector.failure
        assert asyncio.get_running_loop().time() < deadline, "not acknowledged in time"
        await asyncio.wait([waiting], timeout=0.01)

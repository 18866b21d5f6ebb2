"""Carries out collect orders: several at once, those of one request and source one by one.

Rule 1: an order that the log does not call pending is ignored, and so is one that is running here.
Rule 2: a record is settled only after the report about its order is on the broker, or when there
is nothing to report; a crash before that repeats the order as a new run.
Rule 3: while a source or the keyring does not answer, it is tried again for as long as the order is
pending. How long that may be is the request's policy, and the decider's to judge.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from logbook.following import Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from logbook.sealing import Lease
from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.failpoints import fp
from plumbing.kafka import Outgoing, Record
from plumbing.vault import At, Vault, VaultRefused, VaultUnavailable
from rights.orders import CollectSections
from rights.reports import (
    Extent,
    Report,
    ReportCollectionStarted,
    ReportSectionsCollected,
    ReportSourceRefused,
    ReportSourceUnavailable,
)
from schemas.codec import UndecodableError, decode_as
from schemas.topics import fragments
from schemas.wire import OrderMessage
from services.collectors.inbox import Acknowledge, Inbox, Place
from services.collectors.publishing import Flight, Publisher, forget
from services.collectors.run import Run
from sources.contract import DeclarationError, Source, SourceRefused, SourceUnavailable

FOLLOWER_PATIENCE_S: Final = 2.0
FIRST_PAUSE_S: Final = 0.5
PAUSE_MAX_S: Final = 15.0
SIGN_OF_LIFE_S: Final = 1.0
STOPPING_S: Final = 5.0
# Orders that run, wait for their turn, or wait for a source.
RECORDS_HELD_MAX: Final = 1000
KEYRING_UNAVAILABLE: Final = "KEYRING_UNAVAILABLE"
T = TypeVar("T")
log = telemetry.get("collectors")


class NotWantedError(Exception):
    """The order is not pending any more, or the process is about to end: leave it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a collectors process works with; `pause` waits, and is a test's to shorten."""

    sources: Mapping[str, Source]
    vault: Vault
    following: Following
    book: OrderBook
    reporter: Reporter
    publisher: Publisher
    clock: Clock
    threads: Executor
    entropy: Callable[[int], bytes]
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep


@dataclass(slots=True)
class _Work:
    """One order under way, and what was already said about it."""

    order: CollectSections
    at: At
    run_id: str
    said: set[str] = field(default_factory=set)
    percent: int = -1
    spoke_at_s: float = 0.0


class Collector:
    """Takes records and runs `orders_max` orders at a time; an order that waits is not running.

    Whatever it did not expect ends up in `failure`.
    """

    def __init__(self, around: Surroundings, orders_max: int) -> None:
        self._around = around
        self._runs = asyncio.Semaphore(orders_max)
        self._records = asyncio.Semaphore(RECORDS_HELD_MAX)
        self._inbox = Inbox()
        self._lanes: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.failure: BaseException | None = None

    async def take(self, record: Record, acknowledge: Acknowledge) -> None:
        """Begin work on a record, waiting while too many are being worked on."""
        place = (record.topic, record.partition, record.offset)
        if self._stopping.is_set() or not self._inbox.arrived(place, acknowledge):
            return
        await self._records.acquire()
        task = asyncio.create_task(self._carry_out(record, place))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def stop(self) -> None:
        """End what is running at its next fragment; what is not settled will come again.

        Whoever waits for a broker that is away is not waited for.
        """
        self._stopping.set()
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=STOPPING_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._records.release()
        error = None if task.cancelled() else task.exception()
        self.failure = self.failure or error

    async def _carry_out(self, record: Record, place: Place) -> None:
        found = await self._examine(record)
        if found is None:
            self._inbox.settled(place)
            return
        order, at = found
        if not self._inbox.begins(order.order_id, place):
            log.info("order_running", order_id=order.order_id)
            return
        fp("collector.order_read")
        lane = (order.request_id, order.source)
        async with self._lanes.setdefault(lane, asyncio.Lock()):
            try:
                await self._collect(_Work(order, at, self._new_run_id()))
            except NotWantedError:
                if self._stopping.is_set():
                    return
                log.info("order_dropped", order_id=order.order_id)
        self._inbox.ended(order.order_id)

    async def _examine(self, record: Record) -> tuple[CollectSections, At] | None:
        """The order a record brings, if it is one of ours and pending."""
        try:
            message = decode_as(OrderMessage, record.value or b"")
            order = decode_as(CollectSections, message.body)
        except UndecodableError as failure:
            await self._bury(record, failure.code)
            return None
        at = (message.partition, message.seq)
        await self._in_thread(lambda: self._around.following.wait_for(*at, FOLLOWER_PATIENCE_S))
        if order.source not in self._around.sources or not await self._is_pending(order):
            log.info("order_not_pending", order_id=order.order_id, source=order.source)
            return None
        return order, at

    async def _bury(self, record: Record, code: str) -> None:
        await self._send(self._around.reporter.dead_letter(record, code))
        log.error("order_unreadable", topic=record.topic, offset=record.offset, code=code)

    async def _collect(self, work: _Work) -> None:
        """Run until collected or refused; a run that breaks off is followed by a new one."""
        order = work.order
        of = {"request_id": order.request_id, "order_id": order.order_id, "source": order.source}
        await self._report(order, ReportCollectionStarted(**of, run_id=work.run_id))
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with self._runs:
                    extent = await self._run(work)
            except SourceRefused as refused:
                await self._report(order, ReportSourceRefused(**of, code=refused.code))
                return
            except (SourceUnavailable, DeclarationError, VaultUnavailable, VaultRefused) as failure:
                code = waiting_code(failure)
                if code not in work.said:
                    work.said.add(code)
                    log.warning("collection_waits", **of, code=code, error=failure)
                    await self._report(order, ReportSourceUnavailable(**of, code=code))
            else:
                fp("collector.fragments_done")
                await self._report(order, ReportSectionsCollected(**of, extent=extent))
                fp("collector.reported")
                log.info("sections_collected", **of, run_id=extent.run_id, chunks=extent.chunks)
                return
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            await self._show_progress(work, 0)
            work.run_id = self._new_run_id()

    async def _run(self, work: _Work) -> Extent:
        """One run over the source, from its first fragment to the last one's place."""
        around, order = self._around, work.order
        await self._still_wanted(order)
        lease = Lease(lambda: around.vault.open(order_id=order.order_id, at=work.at))
        run = Run(
            order,
            work.run_id,
            around.sources[order.source],
            lease=lease,
            clock=around.clock,
            still_wanted=lambda: self._check_wanted(order),
        )
        made = run.fragments()
        try:
            async with Flight(around.publisher) as flight:
                while (fragment := await self._in_thread(lambda: next(made, None))) is not None:
                    await flight.send(_outgoing(order, fragment.value))
                    fp("collector.fragment")
                    await self._show_progress(work, fragment.percent)
                places = await flight.landed()
        finally:
            # Where the thread is still at it, it will find out at its next fragment.
            with suppress(ValueError):
                await self._in_thread(made.close)
        assert run.collected_at is not None, "a run that ended has begun"
        return Extent(
            run_id=run.run_id,
            partition=places.partition,
            runs=places.runs,
            chunks=places.chunks,
            ciphertext_sha256=run.ciphertext_sha256,
            watermark=run.watermark,
            collected_at=run.collected_at,
            sections=run.sections,
        )

    async def _show_progress(self, work: _Work, percent: int) -> None:
        """A sign of life, at most once a second unless there is something new to say."""
        now_s = time.monotonic()
        if percent == work.percent and now_s - work.spoke_at_s < SIGN_OF_LIFE_S:
            return
        work.percent, work.spoke_at_s = percent, now_s
        out = self._around.reporter.progress(work.order, work.order.source, percent)
        forget(await self._around.publisher.send(out))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than the process lives."""
        waits = {
            asyncio.ensure_future(self._around.pause(seconds)),
            asyncio.ensure_future(self._stopping.wait()),
        }
        _, unfinished = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in unfinished:
            wait.cancel()

    async def _is_pending(self, order: CollectSections) -> bool:
        return await self._in_thread(lambda: is_pending(self._around, order))

    async def _still_wanted(self, order: CollectSections) -> None:
        await self._in_thread(lambda: self._check_wanted(order))

    def _check_wanted(self, order: CollectSections) -> None:
        if self._stopping.is_set() or not is_pending(self._around, order):
            raise NotWantedError

    async def _report(self, order: CollectSections, body: Report) -> None:
        await self._send(self._around.reporter.outgoing(order, body))

    async def _send(self, out: Outgoing) -> None:
        await (await self._around.publisher.send(out))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._around.threads, work)

    def _new_run_id(self) -> str:
        return self._around.entropy(16).hex()


def is_pending(around: Surroundings, order: CollectSections) -> bool:
    """Whether the log says, now, that exactly this order is to be carried out."""
    with around.following.lock:
        pending = around.book.find(order.order_id)
        return pending is not None and pending.order == order


def waiting_code(
    failure: SourceUnavailable | DeclarationError | VaultUnavailable | VaultRefused,
) -> str:
    """Why the request waits, in words that a status page may show."""
    match failure:
        case VaultUnavailable():
            return KEYRING_UNAVAILABLE
        case VaultRefused(code=code):
            return f"KEYRING_{code}"
        case _:
            return failure.code


def _outgoing(order: CollectSections, value: bytes) -> Outgoing:
    return Outgoing(topic=fragments(order.source), key=order.subject_ref.encode(), value=value)

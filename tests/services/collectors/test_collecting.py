"""A collect order from the record that brings it to the extent that is reported."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from plumbing import failpoints
from plumbing.failpoints import FailpointError
from plumbing.kafka import Outgoing
from plumbing.vault import VaultUnavailable
from proofs.failures import Tampered
from rights.lifecycle import State
from rights.orders import CollectSections
from rights.policies import PROFILES
from rights.reports import (
    ReportCollectionStarted,
    ReportSectionsCollected,
    ReportSourceRefused,
    ReportSourceUnavailable,
)
from schemas.codec import decode_as
from schemas.fragments import END, FRAGMENT_BYTES_MAX, ROWS
from schemas.topics import PROGRESS, dead_letters, fragments, reports
from schemas.wire import DeadLetter, ProgressMessage
from services.collectors.publishing import IN_FLIGHT_MAX
from sources.contract import DeclarationError, SourceRefused, SourceUnavailable
from tests.services.collectors.people import MemorySource, line
from tests.services.collectors.stage import MemoryPublisher, Stage, billing, journal, settled
from tests.support.log_writer import SOURCES
from tests.support.waiting import until

UNREACHABLE = SourceUnavailable("SOURCE_UNREACHABLE")


def failing(times: int, error: Exception, at: str = "snapshot") -> Callable[[str], None]:
    """A source that fails so many times at a place, and then works."""
    left = [times]

    def fault(place: str) -> None:
        if place == at and left[0]:
            left[0] -= 1
            raise error

    return fault


def test_collected_sections_are_reported_with_the_extent_of_their_fragments() -> None:
    with Stage(sources={"journal": journal(), "billing": billing()}) as stage:
        request_id = stage.file_export()
        order = stage.owed_of(CollectSections, "journal")

        started, collected = stage.collect("journal")

        assert isinstance(started, ReportCollectionStarted)
        assert isinstance(collected, ReportSectionsCollected)
        assert collected.extent.run_id == started.run_id
        assert collected.extent.sections == ("entries", "moods")
        assert collected.extent.chunks == len(stage.fragments("journal")) == 2
        assert stage.export(request_id).sources["journal"].extent == collected.extent
        (rows, lines), (end, nothing) = stage.opened(order, collected.extent)
        assert (rows.kind, rows.section) == (ROWS, "entries")
        assert lines == b"".join(map(line, journal().rows["entries"]["u-17"]))
        assert (end.kind, nothing) == (END, b"")
        assert end.records == {"entries": 3, "moods": 0}
        assert end.titles["entries/fr"] == "entries (fr)"


def test_fragments_are_keyed_by_subject_and_no_larger_than_they_may_be() -> None:
    rows = [{"id": i, "body": "entry " * 400} for i in range(2000)]
    source = MemorySource(name="journal", rows={"entries": {"u-17": rows}})
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()

        _, collected = stage.collect("journal")

        found = stage.fragments("journal")
        assert len(found) == collected.extent.chunks > 5
        assert {r.key for r in found} == {stage.ines.encode()}
        assert all(len(r.value or b"") <= FRAGMENT_BYTES_MAX for r in found)


def test_a_source_is_given_only_the_handles_it_declared() -> None:
    source = journal()
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()

        stage.collect("journal")

        assert source.asked[0] == {"tenant": "acme-wellbeing", "user_id": "u-17"}


def test_a_source_is_read_off_the_event_loop() -> None:
    source = journal()
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()

        stage.collect("journal")

        assert threading.get_ident() not in source.threads


def test_only_the_chosen_sections_are_collected_and_all_are_named() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export(sections=("moods", "invoices"))
        order = stage.owed_of(CollectSections, "journal")

        _, collected = stage.collect("journal")

        assert collected.extent.sections == ("moods",)
        ((end, _),) = stage.opened(order, collected.extent)
        assert end.records == {"moods": 0}
        assert {key.partition("/")[0] for key in end.titles} == {"entries", "moods"}


def test_the_same_run_never_opens_under_another_runs_id() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export()
        order = stage.owed_of(CollectSections, "journal")
        _, collected = stage.collect("journal")

        other = replace(collected.extent, run_id="ff" * 16)

        with pytest.raises(Tampered):
            stage.opened(order, other)


def test_an_order_that_is_not_pending_is_acknowledged_and_nothing_else() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        request_id = stage.file_export()
        order = stage.owed_of(CollectSections, "journal")
        stage.cancel(request_id)

        asyncio.run(stage.carry_out(order, {}))

        assert stage.decide("journal") == []
        assert stage.fragments("journal") == []


def test_a_forged_order_is_not_obeyed() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export()
        order = replace(stage.owed_of(CollectSections, "journal"), sections=("moods",))

        asyncio.run(stage.carry_out(order, {}))

        assert stage.fragments("journal") == []


def test_an_unreadable_order_is_buried_without_its_bytes_and_the_next_one_is_carried_out() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export()
        record = stage.order_record(stage.owed_of(CollectSections, "journal"), offset=1)
        poison = record._replace(offset=0, value=b"ines@example.org")

        async def carry_out() -> None:
            collector = stage.collector()
            acknowledged = [asyncio.Event(), asyncio.Event()]
            for each, event in zip((poison, record), acknowledged, strict=True):
                await collector.take(each, event.set)
            for event in acknowledged:
                await settled(event, collector)

        asyncio.run(carry_out())

        (buried,) = stage.records(dead_letters("collectors"))
        letter = decode_as(DeadLetter, buried.value or b"")
        assert (letter.offset, letter.code) == (0, "UNKNOWN_SCHEMA")
        assert b"ines" not in (buried.value or b"")
        assert len(stage.decide("journal")) == 2


def test_a_source_that_is_down_is_named_once_and_tried_until_it_is_back() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with Stage(sources={"journal": journal(fault=failing(7, UNREACHABLE))}) as stage:
        request_id = stage.file_export()

        started, waiting, collected = stage.collect("journal", pause=pause)

        assert isinstance(started, ReportCollectionStarted)
        assert isinstance(waiting, ReportSourceUnavailable)
        assert waiting.code == "SOURCE_UNREACHABLE"
        assert isinstance(collected, ReportSectionsCollected)
        assert pauses == [0.5, 1, 2, 4, 8, 15, 15]
        assert stage.export(request_id).sources["journal"].waiting_code == ""


def test_a_run_that_broke_off_is_redone_as_another_and_never_mixed_with_it() -> None:
    rows = [{"id": i, "body": "x" * 1000} for i in range(3000)]
    source = MemorySource(name="journal", rows={"entries": {"u-17": rows}})
    read = [0]

    def fault(place: str) -> None:
        read[0] += place == "entries"
        if place == "entries" and read[0] == 2500:
            raise SourceUnavailable("SOURCE_TIMEOUT")

    source.fault = fault
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()
        order = stage.owed_of(CollectSections, "journal")

        started, _, collected = stage.collect("journal")

        extent = collected.extent
        assert extent.run_id != started.run_id
        assert len(stage.fragments("journal")) > extent.chunks
        lines = b"".join(payload for _, payload in stage.opened(order, extent))
        assert lines.count(b"\n") == 3000
        before = replace(extent, runs=(replace(extent.runs[0], first=extent.runs[0].first - 1),))
        with pytest.raises(Tampered):
            stage.opened(order, before)


def test_a_source_that_refuses_ends_the_request() -> None:
    refused = failing(1, SourceRefused("TENANT_MISSING"), at="entries")
    with Stage(sources={"journal": journal(fault=refused)}) as stage:
        request_id = stage.file_export()

        _, report = stage.collect("journal")

        assert isinstance(report, ReportSourceRefused)
        assert stage.export(request_id).state is State.FAILED
        assert stage.export(request_id).failure == "TENANT_MISSING"


def test_a_declaration_that_no_longer_fits_waits_for_whoever_mends_it() -> None:
    outdated = DeclarationError("COLUMN_MISSING", "A column is gone.", "Mend it.")
    with Stage(sources={"journal": journal(fault=failing(1, outdated))}) as stage:
        stage.file_export()

        _, waiting, collected = stage.collect("journal")

        assert waiting.code == "COLUMN_MISSING"
        assert isinstance(collected, ReportSectionsCollected)


def test_without_the_keyring_the_request_waits_and_nothing_is_published_in_clear() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export()
        left = [3]

        def away() -> None:
            if left[0]:
                left[0] -= 1
                raise VaultUnavailable("UNREACHABLE")

        stage.keyring.fault = away

        _, waiting, collected = stage.collect("journal")

        assert isinstance(waiting, ReportSourceUnavailable)
        assert waiting.code == "KEYRING_UNAVAILABLE"
        assert len(stage.fragments("journal")) == collected.extent.chunks


def test_a_request_cancelled_during_its_run_is_left_at_once() -> None:
    rows = [{"id": i, "body": "x" * 1000} for i in range(5000)]
    source = MemorySource(name="journal", rows={"entries": {"u-17": rows}})
    with Stage(sources={"journal": source}) as stage:
        request_id = stage.file_export()
        order = stage.owed_of(CollectSections, "journal")
        read = [0]

        def cancel_on_the_way(place: str) -> None:
            read[0] += place == "entries"
            if place == "entries" and read[0] == 2000:
                stage.cancel(request_id)

        source.fault = cancel_on_the_way
        asyncio.run(stage.carry_out(order, {}))

        (report,) = stage.decide("journal")
        assert isinstance(report, ReportCollectionStarted)
        assert read[0] < 3000
        assert source.snapshots_open == 0


def test_a_crash_between_fragments_and_report_leads_to_a_second_run() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export()
        failpoints.arm("collector.fragments_done:1:err")
        with pytest.raises(FailpointError):
            stage.collect("journal")
        failpoints.disarm()
        (first,) = stage.decide("journal")

        second, collected = stage.collect("journal")

        assert isinstance(first, ReportCollectionStarted)
        assert isinstance(second, ReportCollectionStarted)
        assert collected.extent.run_id == second.run_id != first.run_id
        assert len(stage.fragments("journal")) == 2 * collected.extent.chunks


def test_where_the_profile_says_so_a_run_cut_off_by_a_restart_fails_the_request() -> None:
    policy = replace(PROFILES["self-serve-api"], sources=SOURCES)
    with Stage(sources={"journal": journal()}, policy=policy) as stage:
        request_id = stage.file_export()
        failpoints.arm("collector.fragment:1:err")
        with pytest.raises(FailpointError):
            stage.collect("journal")
        failpoints.disarm()
        stage.decide("journal")

        stage.collect("journal")

        assert stage.export(request_id).failure == "STALE_RUN"


def test_a_source_that_was_away_during_a_run_is_no_restart() -> None:
    policy = replace(PROFILES["self-serve-api"], sources=SOURCES)
    away = failing(1, UNREACHABLE, at="entries")
    with Stage(sources={"journal": journal(fault=away)}, policy=policy) as stage:
        request_id = stage.file_export()

        stage.collect("journal")

        assert stage.export(request_id).sources["journal"].extent is not None


def test_a_repeat_of_a_running_order_runs_once_and_both_records_are_acknowledged() -> None:
    with Stage(sources={"journal": journal()}) as stage:
        stage.file_export()
        order = stage.owed_of(CollectSections, "journal")

        async def carry_out() -> None:
            collector = stage.collector()
            acknowledged = [asyncio.Event(), asyncio.Event()]
            for offset, event in enumerate(acknowledged):
                await collector.take(stage.order_record(order, offset), event.set)
            for event in acknowledged:
                await settled(event, collector)

        asyncio.run(carry_out())

        assert len(stage.fragments("journal")) == 2


def test_no_more_orders_run_at_once_than_may() -> None:
    with Stage(sources={"journal": journal(), "billing": billing()}) as stage:
        stage.file_export()
        orders = [stage.owed_of(CollectSections, source) for source in ("journal", "billing")]
        released = threading.Event()
        running = [0]
        most = [0]

        def hold(place: str) -> None:
            if place == "snapshot":
                running[0] += 1
                most[0] = max(most[0], running[0])
                assert released.wait(10)
                running[0] -= 1

        for source in stage.sources.values():
            assert isinstance(source, MemorySource)
            source.fault = hold

        async def carry_out() -> None:
            collector = stage.collector(orders_max=1)
            acknowledged = [asyncio.Event(), asyncio.Event()]
            for offset, event in enumerate(acknowledged):
                await collector.take(stage.order_record(orders[offset], offset), event.set)
            await asyncio.to_thread(until, lambda: running[0])
            await asyncio.to_thread(until, lambda: len(stage.records(reports("billing"))))
            released.set()
            for event in acknowledged:
                await settled(event, collector)

        asyncio.run(carry_out())

        assert most == [1]
        assert len(stage.decide("journal", "billing")) == 4


def test_an_order_that_waits_for_its_source_keeps_no_other_from_running() -> None:
    away = journal(fault=failing(10**6, UNREACHABLE))
    with Stage(sources={"journal": away, "billing": billing()}) as stage:
        stage.file_export()
        orders = [stage.owed_of(CollectSections, source) for source in ("journal", "billing")]

        async def carry_out() -> None:
            collector = stage.collector(orders_max=1)
            acknowledged = [asyncio.Event(), asyncio.Event()]
            for offset, event in enumerate(acknowledged):
                await collector.take(stage.order_record(orders[offset], offset), event.set)
            await asyncio.to_thread(until, lambda: len(stage.records(reports("billing"))) == 2)
            await collector.stop()
            assert not acknowledged[0].is_set()

        asyncio.run(carry_out())


def test_a_process_that_stops_leaves_its_orders_unacknowledged() -> None:
    source = journal(1000)
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()
        order = stage.owed_of(CollectSections, "journal")
        is_reading = threading.Event()
        released = threading.Event()

        def hold(_: str) -> None:
            is_reading.set()
            assert released.wait(10)

        source.fault = hold

        async def carry_out() -> list[str]:
            acknowledged: list[str] = []
            collector = stage.collector()
            await collector.take(stage.order_record(order), lambda: acknowledged.append("yes"))
            await asyncio.to_thread(is_reading.wait, 10)
            stopping = asyncio.create_task(collector.stop())
            await asyncio.sleep(0)
            released.set()
            await stopping
            return acknowledged

        assert asyncio.run(carry_out()) == []
        assert source.snapshots_open == 0
        assert len(stage.decide("journal")) == 1


def test_a_slow_broker_slows_the_reader_down() -> None:
    rows = [{"id": i, "body": "x" * 5000} for i in range(5000)]
    source = MemorySource(name="journal", rows={"entries": {"u-17": rows}})
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()
        order = stage.owed_of(CollectSections, "journal")
        unanswered: list[asyncio.Future[object]] = []

        class Stuck(MemoryPublisher):
            async def send(self, out: Outgoing) -> "asyncio.Future[object]":
                if out.topic != fragments("journal"):
                    return await super().send(out)
                unanswered.append(asyncio.get_running_loop().create_future())
                return unanswered[-1]

        async def carry_out() -> None:
            collector = stage.collector(publisher=Stuck(stage.connection))
            await collector.take(stage.order_record(order), lambda: None)
            await asyncio.to_thread(until, lambda: len(unanswered) >= IN_FLIGHT_MAX)
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(unanswered) == IN_FLIGHT_MAX
            stopping = asyncio.create_task(collector.stop())
            await asyncio.sleep(0)
            unanswered[0].set_exception(SourceUnavailable("let go"))
            await stopping

        asyncio.run(carry_out())


def test_progress_is_shown_by_sections_and_within_large_ones_by_rows() -> None:
    rows = [{"id": i, "body": "x" * 1000} for i in range(3000)]
    source = MemorySource(name="journal", rows={"entries": {"u-17": rows}, "moods": {}})
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()

        stage.collect("journal")

        shown = [
            decode_as(ProgressMessage, record.value or b"").percent
            for record in stage.records(PROGRESS)
        ]
        assert shown == sorted(shown)
        assert shown[-1] == 100
        assert {percent for percent in shown if 0 < percent < 50}
        assert source.counted == 1


def test_keys_are_asked_for_again_when_half_of_the_lease_is_over() -> None:
    rows = [{"id": i, "body": "x" * 1000} for i in range(3000)]
    source = MemorySource(name="journal", rows={"entries": {"u-17": rows}})
    with Stage(sources={"journal": source}) as stage:
        stage.file_export()
        stage.keyring.lease = timedelta(0)
        asked = [0]

        def count() -> None:
            asked[0] += 1

        stage.keyring.fault = count

        _, collected = stage.collect("journal")

        # Once for the handles, and then for each fragment: nothing may be kept.
        assert asked[0] == collected.extent.chunks + 1

"""What services find in the views after the log moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import get_args

import pytest

from projections.queries import Cursor, Filter, Queries, open_queries
from projections.views.timeline import SHOWN
from rights import commands as cmd
from rights import orders as od
from rights import reports as rp
from rights.events import RequestEvent
from rights.references import tenant_ref
from rights.subject import pending_orders
from tests.support.log_writer import ADMIN, SOURCES, TENANT, LogWriter, person

Project = Callable[[], None]


@pytest.fixture
def views(postgres_dsn: str) -> Iterator[Queries]:
    queries = open_queries(postgres_dsn)
    yield queries
    queries.close()


def test_an_export_is_found_by_its_tenant_and_reference_only(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_export(person(1))
    project()

    found = views.request_by_id(TENANT, request_id)

    assert found is not None
    assert found == views.request(TENANT, found.reference)
    assert views.request(tenant_ref("northwind-care"), found.reference) is None
    assert views.request_by_id(tenant_ref("northwind-care"), request_id) is None
    assert (found.kind, found.state, found.version) == ("EXPORT", "PENDING", 1)
    assert found.reference.startswith("EXP-2026-")


def test_a_request_follows_its_decisions_to_the_end(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_export(person(1))
    log.carry_out(person(1), while_owed=(od.CollectSections,))
    project()
    sealing = views.request_by_id(TENANT, request_id)
    log.carry_out(person(1))
    project()
    ready = views.request_by_id(TENANT, request_id)

    assert sealing is not None
    assert (sealing.state, sealing.phase, sealing.outcome) == ("IN_PROGRESS", "SEAL", None)
    assert ready is not None
    assert (ready.state, ready.phase, ready.outcome) == ("COMPLETED", "NONE", "FULL")
    assert ready.version == sealing.version + 2  # sealed, and told the person
    assert ready.expires_at is not None
    assert ready.object_key is not None
    last = log.entries[-1].decision
    assert (ready.partition, ready.seq) == (last.partition, last.seq)


def test_a_source_that_does_not_answer_is_named_with_its_reason(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_export(person(1))
    order = next(o for o in pending_orders(log.subject(person(1))))
    assert isinstance(order, od.CollectSections)
    unavailable = rp.ReportSourceUnavailable(
        request_id=request_id, order_id=order.order_id, source=order.source, code="TIMED_OUT"
    )
    log.report(unavailable, order)
    project()

    found = views.request_by_id(TENANT, request_id)

    assert found is not None
    assert (found.waiting_source, found.waiting_code) == (order.source, "TIMED_OUT")
    assert found.waiting_since == log.entries[-1].decision.decided_at
    states = {row.source: row.state for row in views.sections(request_id)}
    assert states == {order.source: "WAITING"} | {
        source: "PENDING" for source in SOURCES if source != order.source
    }


def test_a_failure_names_its_code_and_source(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_export(person(1))
    order = next(o for o in pending_orders(log.subject(person(1))))
    assert isinstance(order, od.CollectSections)
    refused = rp.ReportSourceRefused(
        request_id=request_id, order_id=order.order_id, source=order.source, code="FORBIDDEN"
    )
    log.report(refused, order)
    project()

    found = views.request_by_id(TENANT, request_id)

    assert found is not None
    assert (found.state, found.failure, found.failed_source) == (
        "FAILED",
        "FORBIDDEN",
        order.source,
    )


def test_an_erasure_shows_its_plan_and_what_became_of_each_section(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_erasure(person(2), actor=ADMIN)
    log.carry_out(person(2))
    project()
    planned = views.request_by_id(TENANT, request_id)
    log.confirm_erasure(person(2), request_id, skip_grace=True)
    log.carry_out(person(2))
    project()
    done = views.request_by_id(TENANT, request_id)

    assert planned is not None
    assert planned.state == "AWAITING_CONFIRMATION"
    assert len(planned.plan_hash) == 64
    assert done is not None
    assert (done.state, done.outcome, done.skip_ground) == ("COMPLETED", "FULL", "WRITTEN_WAIVER")
    rows = {(row.source, row.section): row for row in views.sections(request_id)}
    assert set(rows) == {
        ("billing", ""),
        ("billing", "invoices"),
        ("journal", ""),
        ("journal", "entries"),
    }
    kept, gone = rows["billing", "invoices"], rows["journal", "entries"]
    assert kept.items == [
        {"item_class": "invoices", "treatment": "retain", "basis": "TAX", "keep_rule": "7y"}
    ]
    assert (kept.state, kept.retained_bucket, kept.kept_bucket) == ("PROBED", 2, 2)
    assert (gone.state, gone.deleted_bucket, gone.left_bucket) == ("PROBED", 8, 0)


def test_a_grace_period_is_shown_with_its_end(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_erasure(person(3))
    project()

    found = views.request_by_id(TENANT, request_id)

    assert found is not None
    assert found.state == "AWAITING_GRACE"
    assert found.grace_ends_at == found.filed_at + timedelta(days=30)


def test_a_list_is_newest_first_and_goes_on_behind_its_cursor(
    log: LogWriter, project: Project, views: Queries
) -> None:
    filed = [log.file_export(person(number)) for number in range(7)]
    erased = log.file_erasure(person(3))
    project()

    first = views.requests(TENANT, limit=5)
    assert first.next is not None
    second = views.requests(TENANT, after=Cursor.decode(first.next.encode()), limit=5)

    assert [r.request_id for r in (*first.rows, *second.rows)] == [erased, *reversed(filed)]
    assert second.next is None
    exports = views.requests(TENANT, Filter(subject_ref=person(3), kind="EXPORT"))
    assert [r.request_id for r in exports.rows] == [filed[3]]
    waiting = views.requests(TENANT, Filter(states=("AWAITING_GRACE",)))
    assert [r.request_id for r in waiting.rows] == [erased]


@pytest.mark.parametrize("text", ["", "x", "bm90IGEgY3Vyc29y", "2026", "ä"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.decode(text)


def test_a_command_is_answered_with_its_place_and_reference(
    log: LogWriter, project: Project, views: Queries
) -> None:
    first = log.file_export(person(1))
    second = log.file_export(person(1))
    project()

    accepted, refused = views.command(first), views.command(second)

    assert accepted is not None
    assert refused is not None
    filed = next(e.decision for e in log.entries if e.decision.command.id == first)
    request = views.request_by_id(TENANT, first)
    assert request is not None
    assert (accepted.verdict, accepted.partition, accepted.seq, accepted.hash) == (
        "ACCEPTED",
        filed.partition,
        filed.seq,
        filed.command.hash,
    )
    assert (accepted.request_id, accepted.reference) == (first, request.reference)
    assert (refused.verdict, refused.code) == ("REJECTED", "CONFLICT_GDPR_EXPORT")
    assert (refused.request_id, refused.reference) == (None, None)
    assert views.command("ff" * 16) is None


def test_the_timeline_tells_who_did_what_and_nothing_from_the_vault(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_export(person(1))
    log.carry_out(person(1))
    log.download(person(1), request_id)
    project()

    timeline = views.timeline(request_id)

    seen = [(row.event_type, row.actor_role, row.actor_ref) for row in timeline]
    assert seen[0] == ("ExportSubmitted", "SUBJECT", person(1))
    assert ("SectionsCollected", "WORKER", "billing") in seen
    assert ("RequestCompleted", "WORKER", "bundler") in seen
    assert seen[-1] == ("DownloadGranted", "SUBJECT", person(1))
    assert timeline[0].details["profile"] == "workspace-admin"
    shown = repr([row.details for row in timeline])
    assert "vault" not in shown
    assert "token" not in shown
    assert [(row.seq, row.event_index) for row in timeline] == sorted(
        (row.seq, row.event_index) for row in timeline
    )
    later = views.timeline(request_id, after_seq=timeline[0].seq)
    assert list(later) == list(timeline[1:])


def test_every_event_of_a_request_says_what_may_be_seen_of_it() -> None:
    assert set(SHOWN) == set(get_args(RequestEvent))
    fields = [name for names in SHOWN.values() for name in names]
    assert not [name for name in fields if "vault" in name or "token" in name]


def test_cancelling_twice_is_answered_twice_and_counted_once(
    log: LogWriter, project: Project, views: Queries
) -> None:
    request_id = log.file_export(person(1))
    log.cancel(person(1), request_id)
    log.say(
        cmd.CancelRequest(request_id=request_id),
        ADMIN,
        subject=person(1),
        command_id="cc" * 16,
    )
    project()

    request = views.request_by_id(TENANT, request_id)
    again = views.command("cc" * 16)

    assert request is not None
    assert (request.state, request.version) == ("CANCELLED", 2)
    assert again is not None
    assert again.verdict == "ACCEPTED"

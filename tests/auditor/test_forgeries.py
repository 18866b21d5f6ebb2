"""A chain that fits proves little: whoever writes all of it anew is found out by the law."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.findings import Wrong
from auditor.law.causes import CAUSES
from auditor.verifying import Seen
from plumbing.kafka import Record, partition_for
from rights import events as ev
from rights.decisions import Decision, EventBody, Verdict
from rights.lifecycle import Outcome
from rights.policies import Role
from schemas.catalogue import COMMANDS
from schemas.codec import decode_as
from schemas.log import event_body
from tests.auditor.forging import Change, chained_again, changed, index_of, verified
from tests.support.log_writer import ADMIN, TENANT, LogWriter, person


@pytest.fixture(scope="module")
def log() -> LogWriter:
    """One partition in which an export and an erasure run to their ends, and a refusal between."""
    writer = LogWriter(partitions=1)
    writer.publish_policy()
    request_id = writer.file_export(person(1))
    writer.file_export(person(1))
    writer.carry_out(person(1))
    writer.download(person(1), request_id)
    erasure_id = writer.file_erasure(person(2), actor=ADMIN)
    writer.carry_out(person(2))
    writer.confirm_erasure(person(2), erasure_id, skip_grace=False)
    for _ in range(30):
        writer.wait(timedelta(days=1))
        writer.tick()
    writer.fire_due(person(1))
    writer.fire_due(person(2))
    writer.carry_out(person(1))
    writer.carry_out(person(2))
    return writer


def decision_at(log: LogWriter, index: int) -> Decision:
    return decode_as(Decision, log.records[index].value or b"")


def found_in(records: list[Record]) -> set[tuple[Wrong, int | None]]:
    return {(finding.wrong, finding.offset) for finding in verified(records).findings}


def test_the_untouched_log_is_green_also_when_chained_again(log: LogWriter) -> None:
    assert verified(log.records).first_bad is None
    assert chained_again(log.records, 0, lambda decisions: decisions) == log.records


def test_a_forged_log_is_not_the_one_that_was_seen(log: LogWriter) -> None:
    root = verified(log.records[:10]).partitions[0].root
    forged = chained_again(log.records, 0, changed(4, observed_at=log.now))
    seen = (Seen(partition=0, size=10, root=root),)

    first = verified(forged, seen=seen).first_bad

    assert verified(log.records, seen=seen).first_bad is None
    assert first is not None
    assert (first.wrong, first.partition, first.seq) == (Wrong.ROOT_MISMATCH, 0, 9)


def with_event(
    log: LogWriter, command_type: str, event: type, **fields: object
) -> tuple[int, Change]:
    """One event of a decision with other fields."""
    index = index_of(log.records, 0, command_type)
    entry = log.entries[index]
    events = tuple(
        event_body(replace(e, **fields) if isinstance(e, event) else e)  # type: ignore[arg-type]
        for e in entry.events
    )
    return index, changed(index, events=events)


@pytest.mark.parametrize(
    ("command_type", "event", "fields", "wrong"),
    [
        ("SubmitExport", ev.ExportSubmitted, {"number": 4711}, Wrong.WRONG_DECISION),
        ("SubmitExport", ev.ExportSubmitted, {"reference": "EXP-2026-1"}, Wrong.WRONG_DECISION),
        ("SubmitExport", ev.ExportSubmitted, {"needs_approval": True}, Wrong.WRONG_DECISION),
        ("SubmitExport", ev.ExportSubmitted, {"filed_by": Role.CLOCK}, Wrong.WRONG_DECISION),
        ("SubmitErasure", ev.ErasureSubmitted, {"filer_ref": person(7)}, None),
        ("GrantDownload", ev.DownloadGranted, {"actor_role": Role.COACH}, Wrong.WRONG_DECISION),
        ("GrantDownload", ev.DownloadGranted, {"actor_ref": person(7)}, Wrong.WRONG_DECISION),
        ("ConfirmErasure", ev.ErasureConfirmed, {"grace_skipped": True}, Wrong.WRONG_DECISION),
        ("PublishPolicy", ev.PolicyPublished, {}, None),
        ("Genesis", ev.LogOpened, {"log_id": "00" * 16}, Wrong.PARTITIONS_MISMATCH),
        ("Genesis", ev.LogOpened, {"stride": 63}, Wrong.PARTITIONS_MISMATCH),
    ],
)
def test_a_fact_that_the_law_would_not_have_given_is_found(
    log: LogWriter, command_type: str, event: type, fields: dict[str, object], wrong: Wrong | None
) -> None:
    index, change = with_event(log, command_type, event, **fields)

    found = found_in(chained_again(log.records, 0, change))

    assert ((wrong, index) in found) if wrong else not found


def test_a_deadline_that_was_moved_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "SubmitExport")
    filed = log.entries[index].events[0]
    assert isinstance(filed, ev.ExportSubmitted)
    later = filed.deadline_at + timedelta(days=1)
    _, change = with_event(log, "SubmitExport", ev.ExportSubmitted, deadline_at=later)

    assert (Wrong.WRONG_DECISION, index) in found_in(chained_again(log.records, 0, change))


def test_a_decision_that_was_dated_back_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "ConfirmErasure")
    earlier = decision_at(log, index - 1).decided_at - timedelta(seconds=1)
    forged = chained_again(log.records, 0, changed(index, decided_at=earlier))

    assert (Wrong.TIME_WENT_BACK, index) in found_in(forged)


def test_a_grace_period_that_was_cut_short_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "FireTimer", nth=1)
    assert isinstance(log.entries[index].events[0], ev.GracePeriodEnded)
    early = decision_at(log, index).observed_at - timedelta(days=2)
    # The decider's clock may say anything; the broker's stamp on the command stands against it.
    found = found_in(chained_again(log.records, 0, changed(index, observed_at=early)))

    assert {(Wrong.TOO_EARLY, index), (Wrong.WRONG_DECISION, index)} <= found


def test_a_refusal_without_a_ground_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "SubmitExport")
    refused = changed(index, verdict=Verdict.REJECTED, code="CONFLICT_GDPR_EXPORT", events=())

    assert (Wrong.WRONG_REFUSAL, index) in found_in(chained_again(log.records, 0, refused))


def test_a_grant_where_a_refusal_was_due_is_found(log: LogWriter) -> None:
    first, second = (index_of(log.records, 0, "SubmitExport", nth=n) for n in (0, 1))
    granted = tuple(
        event_body(replace(event, request_id=decision_at(log, second).command.id))
        for event in log.entries[first].events
        if isinstance(event, ev.ExportSubmitted)
    )
    twice = changed(second, verdict=Verdict.ACCEPTED, code="", events=granted)

    assert (Wrong.WRONG_DECISION, second) in found_in(chained_again(log.records, 0, twice))


def request_of(log: LogWriter, command_type: str) -> str:
    return decision_at(log, index_of(log.records, 0, command_type)).command.id


def test_an_erasure_that_is_called_complete_too_soon_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "ReportSectionsTreated")
    completed = ev.RequestCompleted(
        request_id=request_of(log, "SubmitErasure"), outcome=Outcome.FULL
    )
    forged = chained_again(log.records, 0, changed(index, events=(event_body(completed),)))

    found = found_in(forged)

    assert {(Wrong.WRONG_CAUSE, index), (Wrong.ILLEGAL_TRANSITION, index)} <= found


def test_a_request_that_comes_back_from_its_end_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "ReportBundleRemoved")
    again = ev.CollectionStarted(
        request_id=request_of(log, "SubmitExport"), source="journal", run_id="ab" * 16
    )
    forged = chained_again(log.records, 0, changed(index, events=(event_body(again),)))

    assert (Wrong.ILLEGAL_TRANSITION, index) in found_in(forged)


@pytest.mark.parametrize("request_id", ["00" * 16, None])
def test_a_fact_about_what_does_not_exist_is_found(log: LogWriter, request_id: str | None) -> None:
    index = index_of(log.records, 0, "ReportSectionsCollected")
    fact = ev.CollectionStarted(
        request_id=request_id or request_of(log, "SubmitExport"), source="nowhere", run_id="ab"
    )
    forged = chained_again(log.records, 0, changed(index, events=(event_body(fact),)))

    assert (Wrong.ILLEGAL_TRANSITION, index) in found_in(forged)


def test_a_command_with_two_decisions_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "SubmitErasure")
    command = decision_at(log, index_of(log.records, 0, "SubmitExport")).command
    forged = chained_again(log.records, 0, changed(index, command=command))

    assert (Wrong.DECIDED_TWICE, index) in found_in(forged)


def test_inputs_that_were_read_again_are_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "SubmitErasure")
    (position,) = decision_at(log, index).inputs
    again = changed(index, inputs=(replace(position, next_offset=0),))

    assert (Wrong.POSITION_WENT_BACK, index) in found_in(chained_again(log.records, 0, again))


def test_a_policy_that_nobody_published_is_found(log: LogWriter) -> None:
    index = index_of(log.records, 0, "SubmitErasure")
    filed = log.entries[index].events[0]
    assert isinstance(filed, ev.ErasureSubmitted)
    lax = replace(filed.policy, grace=timedelta(0))
    _, change = with_event(log, "SubmitErasure", ev.ErasureSubmitted, policy=lax)

    assert (Wrong.POLICY_MISMATCH, index) in found_in(chained_again(log.records, 0, change))


def test_a_key_that_is_somebody_elses_is_found(log: LogWriter) -> None:
    last = len(log.records) - 1
    forged = [*log.records[:-1], log.records[last]._replace(key=person(9).encode())]

    assert (Wrong.WRONG_KEY, last) in found_in(forged)


def test_a_fact_from_a_later_release_stops_the_states_and_not_the_chain(log: LogWriter) -> None:
    index = index_of(log.records, 0, "SubmitErasure")
    unknown = EventBody(type="HoldPlaced", body=b"\xc3\x01 from the future")
    verdict = verified(chained_again(log.records, 0, changed(index, events=(unknown,))))

    assert [(f.wrong, f.offset) for f in verdict.findings] == [(Wrong.UNKNOWN_EVENT, index)]
    assert verdict.partitions[0].decisions == len(log.records)


def test_a_zombies_batch_is_void_and_the_log_goes_on(log: LogWriter) -> None:
    """Two records of a decider that was replaced lie between the third and the fourth of the log."""
    zombie = chained_again(log.records[:5], 0, changed(2, observed_at=log.now))[2:5]
    records = [*log.records[:3], *zombie, *log.records[3:]]
    records = [record._replace(offset=offset) for offset, record in enumerate(records)]

    verdict = verified(records)

    assert [(f.wrong, f.offset) for f in verdict.findings] == [
        (Wrong.VOID, offset) for offset in (3, 4, 5)
    ]
    assert verdict.partitions[0].voids == 3
    assert verdict.partitions[0].decisions == len(log.records)
    assert verdict.partitions[0].root == verified(log.records).partitions[0].root


def test_every_command_has_its_facts_listed() -> None:
    listed = set(CAUSES) - {"Genesis", "Unreadable"}

    assert listed == {command.__name__ for command in COMMANDS}
    for names in CAUSES.values():
        assert all(hasattr(ev, name) for name in names)


def test_each_persons_records_lie_in_their_partition() -> None:
    log = LogWriter()
    log.publish_policy()
    log.file_export(person(1))
    verdict = verified(log.records)

    own = partition_for(person(1).encode(), 3)
    assert verdict.first_bad is None
    assert verdict.partitions[own].decisions >= 2
    assert log.subject(person(1)).tenant_ref == TENANT

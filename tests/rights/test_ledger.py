from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rights import events as ev
from rights.commands import (
    Actor,
    ConfirmClock,
    DayTick,
    FireTimer,
    PublishPolicy,
    SubmitErasure,
    SubmitExport,
)
from rights.decisions import CommandReference, Decision, EventBody, Verdict, extend
from rights.incoming import CLOCK, INTAKE, Body, Envelope, Incoming
from rights.ledger import ANSWERS_KEPT, Draft, Ledger, consider
from rights.policies import PolicyBook, PolicyInForce, Role
from rights.reports import ReportBundleRemoved, ReportStepStarted
from rights.subject import pending_orders
from rights.timers import TimerName
from tests.support.spec import ADA, ADMIN, HERSELF, NOT_ALONE, NOW, POLICY, REFERENCE, TENANT

LOG_ID = "ab" * 16
BEA = "b" * 32
SYSTEM = Actor(role=Role.SYSTEM_ADMIN, ref="5" * 32)
TICKER = Actor(role=Role.CLOCK, ref="scheduler")


class Desk:
    """A ledger to which commands are put; what is drafted is recorded and folded."""

    def __init__(self) -> None:
        self.ledger = Ledger(3)
        self.book = PolicyBook()
        self.book.publish(
            TENANT, PolicyInForce(policy=POLICY, reference=REFERENCE, effective_at=NOW)
        )
        self.now = NOW
        self.offset = 0

    def put(
        self,
        body: Body,
        actor: Actor = HERSELF,
        *,
        channel: str = INTAKE,
        command_id: str | None = None,
        subject_ref: str | None = ADA,
        tenant_ref: str | None = TENANT,
        valid_until: datetime | None = None,
        observed_at: datetime | None = None,
    ) -> Draft | None:
        self.offset += 1
        envelope = Envelope(
            id=command_id or f"{self.offset:032x}",
            hash=b"h",
            issuer="request_api",
            actor=actor,
            subject_ref=subject_ref,
            tenant_ref=tenant_ref,
            attested=NOT_ALONE,
            issued_at=self.now,
            valid_until=valid_until,
            type=type(body).__name__,
            body=body,
        )
        incoming = Incoming(
            channel=channel,
            topic="t",
            partition=3,
            offset=self.offset,
            observed_at=observed_at or self.now,
            envelope=envelope,
        )
        draft = consider(self.ledger, self.book, incoming, now=self.now)
        if draft is not None:
            self.record(draft, envelope, incoming.observed_at)
        return draft

    def record(self, draft: Draft, envelope: Envelope, observed_at: datetime) -> None:
        decision = Decision(
            log_id=LOG_ID,
            partition=3,
            seq=self.ledger.head.seq + 1,
            prev_hash=self.ledger.head.hash,
            decided_at=self.now,
            observed_at=observed_at,
            command=CommandReference(
                id=envelope.id, issuer=envelope.issuer, type=envelope.type, hash=envelope.hash
            ),
            verdict=draft.verdict,
            code=draft.code,
            subject_ref=envelope.subject_ref,
            tenant_ref=envelope.tenant_ref,
            events=tuple(EventBody(type=type(e).__name__, body=b"") for e in draft.events),
        )
        head = extend(self.ledger.head, decision, b"k", b"v")
        assert head is not None
        self.ledger.apply(decision, draft.events, head)


EXPORT = SubmitExport(handles_vault_id="v1")
ERASURE = SubmitErasure(handles_vault_id="v1")


def tick(desk: Desk, *, boot_clock: timedelta = timedelta(), boot_id: str = "b") -> DayTick:
    return DayTick(boot_id=boot_id, boot_clock_ms=boot_clock // timedelta(milliseconds=1))


def code_of(draft: Draft | None) -> str:
    assert draft is not None
    return draft.code


def test_a_command_that_comes_twice_is_answered_once() -> None:
    desk = Desk()

    assert desk.put(EXPORT, command_id="1" * 32) is not None
    assert desk.put(EXPORT, command_id="1" * 32) is None
    assert desk.ledger.answers["1" * 32].seq == 0


def test_numbers_grow_by_the_stride_and_end_in_the_partition() -> None:
    desk = Desk()
    desk.put(EXPORT)
    desk.put(EXPORT, replace(HERSELF, ref=BEA), subject_ref=BEA)

    numbers = [s.exports[0].number for s in desk.ledger.subjects.values()]
    assert numbers == [64 + 3, 128 + 3]


def test_a_refusal_of_a_person_is_recorded_and_a_stale_report_is_not() -> None:
    desk = Desk()
    desk.put(EXPORT)

    assert code_of(desk.put(EXPORT)) == "CONFLICT_GDPR_EXPORT"
    stale = ReportBundleRemoved(request_id="0", order_id="0")
    worker = Actor(role=Role.WORKER, ref="bundler")
    assert desk.put(stale, worker, channel="reports.bundler") is None


@pytest.mark.parametrize(
    ("channel", "body"),
    [
        (CLOCK, EXPORT),
        (INTAKE, DayTick(boot_id="b", boot_clock_ms=0)),
        ("reports.journal", ReportStepStarted(request_id="r", order_id="o", source="billing")),
        ("reports.journal", ReportBundleRemoved(request_id="r", order_id="o")),
        ("reports.bundler", ReportStepStarted(request_id="r", order_id="o", source="bundler")),
        ("reports.notifier", ReportBundleRemoved(request_id="r", order_id="o")),
        ("reports.keyring", ReportBundleRemoved(request_id="r", order_id="o")),
        ("family", EXPORT),
    ],
)
def test_nobody_is_believed_on_a_topic_that_is_not_theirs(channel: str, body: Body) -> None:
    draft = Desk().put(body, channel=channel)

    assert draft is not None
    assert (draft.verdict, draft.code) == (Verdict.UNREADABLE, "WRONG_TOPIC")


def test_a_command_that_is_too_old_is_refused() -> None:
    desk = Desk()

    late = desk.put(EXPORT, valid_until=NOW - timedelta(seconds=1))
    assert code_of(late) == "COMMAND_EXPIRED"


def test_a_tenant_without_a_policy_can_file_nothing() -> None:
    assert code_of(Desk().put(EXPORT, tenant_ref="0" * 32)) == "POLICY_MISSING"


def test_a_command_about_nobody_is_refused() -> None:
    assert code_of(Desk().put(EXPORT, subject_ref=None)) == "SUBJECT_MISSING"


def test_a_person_is_never_found_in_another_tenant() -> None:
    desk = Desk()
    desk.put(EXPORT)
    desk.book.publish("8" * 32, PolicyInForce(policy=POLICY, reference=REFERENCE, effective_at=NOW))

    assert code_of(desk.put(EXPORT, tenant_ref="8" * 32)) == "NOT_FOUND"


def test_the_first_policy_acts_at_once_and_a_later_one_after_a_day() -> None:
    desk = Desk()
    tenant = "9" * 32
    first = desk.put(PublishPolicy(policy=POLICY), ADMIN, tenant_ref=tenant, subject_ref=None)
    assert first is not None
    (published,) = first.events
    assert isinstance(published, ev.PolicyPublished)
    assert (published.effective_at, published.policy.version) == (NOW, 1)
    in_force = PolicyInForce(
        policy=published.policy, reference=REFERENCE, effective_at=published.effective_at
    )
    desk.book.publish(tenant, in_force)

    second = desk.put(PublishPolicy(policy=POLICY), ADMIN, tenant_ref=tenant, subject_ref=None)
    assert second is not None
    (weaker,) = second.events
    assert isinstance(weaker, ev.PolicyPublished)
    assert weaker.effective_at - NOW == timedelta(hours=24)
    assert weaker.policy.version == 2


def test_a_person_cannot_publish_a_policy() -> None:
    assert code_of(Desk().put(PublishPolicy(policy=POLICY))) == "FORBIDDEN"


def test_every_day_is_decided_so_that_no_partition_is_silent() -> None:
    desk = Desk()
    draft = desk.put(tick(desk), TICKER, channel=CLOCK, subject_ref=None, tenant_ref=None)

    assert draft is not None
    assert [type(e) for e in draft.events] == [ev.DayTicked]


def test_old_answers_are_forgotten_after_their_time() -> None:
    desk = Desk()
    desk.put(EXPORT, command_id="1" * 32)
    desk.now += ANSWERS_KEPT + timedelta(days=1)
    desk.put(tick(desk), TICKER, channel=CLOCK, subject_ref=None)

    assert "1" * 32 not in desk.ledger.answers


def suspected(desk: Desk) -> Desk:
    """A self-filed erasure, then a silence of more than 26 hours."""
    desk.put(ERASURE)
    desk.now += timedelta(days=31)
    draft = desk.put(tick(desk), TICKER, channel=CLOCK, subject_ref=None)
    assert draft is not None
    assert [type(e) for e in draft.events] == [ev.ClockSuspected, ev.DayTicked]
    return desk


def test_after_too_long_a_silence_destructive_timers_wait_for_a_person() -> None:
    desk = suspected(Desk())
    (request,) = desk.ledger.subjects[ADA].requests.values()
    fire = FireTimer(request_id=request.request_id, timer=TimerName.GRACE_END, due_at=NOW)

    assert desk.put(fire, TICKER, channel=CLOCK) is None
    assert code_of(desk.put(ConfirmClock(), ADMIN, subject_ref=None)) == "FORBIDDEN"
    confirmed = desk.put(ConfirmClock(), SYSTEM, subject_ref=None)
    assert confirmed is not None
    assert [type(e) for e in confirmed.events] == [ev.ClockConfirmed]
    ended = desk.put(fire, TICKER, channel=CLOCK)
    assert ended is not None
    assert [type(e) for e in ended.events] == [ev.GracePeriodEnded]


def test_a_timer_that_itself_makes_the_clock_suspect_does_not_fire() -> None:
    desk = Desk()
    desk.put(ERASURE)
    (request,) = desk.ledger.subjects[ADA].requests.values()
    desk.now += timedelta(days=31)
    fire = FireTimer(request_id=request.request_id, timer=TimerName.GRACE_END, due_at=NOW)

    assert desk.put(fire, TICKER, channel=CLOCK) is None


def test_boot_clock_and_append_time_that_part_make_the_clock_suspect() -> None:
    desk = Desk()
    desk.put(tick(desk), TICKER, channel=CLOCK, subject_ref=None)
    desk.now += timedelta(hours=24)
    drifted = tick(desk, boot_clock=timedelta(hours=24, minutes=6))
    draft = desk.put(drifted, TICKER, channel=CLOCK, subject_ref=None)

    assert draft is not None
    assert desk.ledger.is_clock_suspect


def test_a_clock_behind_the_brokers_is_suspect_and_one_that_is_late_is_not() -> None:
    late = Desk()
    late.put(tick(late), TICKER, channel=CLOCK, subject_ref=None)
    late.now += timedelta(hours=1)
    late.put(EXPORT, observed_at=NOW)
    assert not late.ledger.is_clock_suspect

    slow = Desk()
    slow.put(tick(slow), TICKER, channel=CLOCK, subject_ref=None)
    slow.put(ERASURE, observed_at=NOW + timedelta(days=31))
    assert slow.ledger.is_clock_suspect


def test_a_reboot_is_no_drift() -> None:
    desk = Desk()
    desk.put(tick(desk), TICKER, channel=CLOCK, subject_ref=None)
    desk.now += timedelta(hours=24)
    desk.put(tick(desk, boot_id="another"), TICKER, channel=CLOCK, subject_ref=None)

    assert not desk.ledger.is_clock_suspect


def test_an_unreadable_command_holds_its_subject_until_somebody_looks() -> None:
    desk = Desk()
    desk.put(EXPORT)
    envelope = Envelope(
        id="e" * 32,
        hash=b"",
        issuer="t",
        actor=HERSELF,
        subject_ref=ADA,
        tenant_ref=TENANT,
        attested=(),
        issued_at=NOW,
        valid_until=None,
        type="Unreadable",
        body=EXPORT,
    )
    event = ev.CommandUnreadable(topic="t", partition=3, offset=9, sha256=b"", subject_held=True)
    unread = Draft(verdict=Verdict.UNREADABLE, code="LOGIC_ERROR", events=(event,))
    desk.record(unread, envelope, NOW)

    assert code_of(desk.put(EXPORT)) == "SUBJECT_ON_HOLD"
    assert list(desk.ledger.pending_orders()) == []
    assert list(pending_orders(desk.ledger.subjects[ADA])) == []


def test_a_ledger_owes_what_its_subjects_owe() -> None:
    desk = Desk()
    desk.put(EXPORT)

    assert len(list(desk.ledger.pending_orders())) == 2
    ((subject, timer),) = desk.ledger.timers()
    assert (subject.ref, timer.name) == (ADA, TimerName.STALLED)


def test_an_event_about_a_request_that_was_pruned_is_folded_without_complaint() -> None:
    desk = Desk()
    desk.put(EXPORT)
    before = desk.ledger.subjects[ADA]
    envelope = Envelope(
        id="e" * 32,
        hash=b"",
        issuer="t",
        actor=HERSELF,
        subject_ref=ADA,
        tenant_ref=TENANT,
        attested=(),
        issued_at=NOW,
        valid_until=None,
        type="x",
        body=EXPORT,
    )
    lost = Draft(verdict=Verdict.ACCEPTED, events=(ev.BundleRemoved(request_id="gone"),))
    desk.record(lost, envelope, NOW)

    assert desk.ledger.subjects[ADA] == before

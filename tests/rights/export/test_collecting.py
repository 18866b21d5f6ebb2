from datetime import timedelta

import pytest

from rights import events as ev
from rights.export.state import Export
from rights.lifecycle import Outcome, Phase, State
from rights.orders import CollectSections, RemoveBundle, SealBundle, SendNotice
from rights.policies import StaleRun
from rights.reports import (
    ReportBundleFailed,
    ReportBundleRemoved,
    ReportCollectionStarted,
    ReportExtentsGone,
    ReportKeysDestroyed,
    ReportNoticeFailed,
    ReportSectionsCollected,
    ReportSourceRefused,
    ReportSourceUnavailable,
    ReportStepStarted,
)
from rights.timers import TimerName
from tests.support.spec import Conversation
from tests.support.stories import (
    SUBMIT_EXPORT,
    collected,
    extent,
    keys_destroyed,
    notified,
    ready_export,
    sealed,
)


def filed() -> Conversation:
    return Conversation().when(SUBMIT_EXPORT)


def ids(talk: Conversation, kind: type = CollectSections, source: str | None = "journal") -> dict:  # type: ignore[type-arg]
    order = talk.order(kind, source)
    known = {"request_id": order.request_id, "order_id": order.order_id}
    return known | ({"source": source} if source else {})


def export(talk: Conversation) -> Export:
    return talk.subject.exports[-1]


@pytest.mark.requirement("E0-27")
def test_the_first_collection_that_starts_puts_the_export_in_progress() -> None:
    talk = filed()
    begun = talk.reported(ReportCollectionStarted(run_id="r1", **ids(talk)))

    begun.then(ev.CollectionStarted)
    assert (begun.request.state, begun.request.phase) == (State.IN_PROGRESS, Phase.COLLECT)


def test_a_run_is_reported_as_started_once() -> None:
    talk = filed()
    begun = talk.reported(ReportCollectionStarted(run_id="r1", **ids(talk)))

    begun.reported(ReportCollectionStarted(run_id="r1", **ids(talk))).then_ignored()
    begun.reported(ReportCollectionStarted(run_id="r2", **ids(talk))).then(ev.CollectionStarted)


@pytest.mark.requirement("E4-33")
def test_a_run_cut_off_by_a_restart_fails_where_the_profile_says_so() -> None:
    talk = Conversation().under(stale_run=StaleRun.FAIL).when(SUBMIT_EXPORT)
    begun = talk.reported(ReportCollectionStarted(run_id="r1", **ids(talk)))

    again = begun.reported(ReportCollectionStarted(run_id="r2", **ids(talk)))
    assert again.then(ev.RequestFailed).request.failure == "STALE_RUN"
    again.when(SUBMIT_EXPORT, command_id="2" * 32).then(ev.ExportSubmitted)


def test_when_every_source_is_collected_the_archive_is_ordered() -> None:
    half = collected(filed(), "billing")
    assert half.kinds_owed() == ["CollectSections"]

    whole = collected(half, "journal")
    assert whole.kinds_owed() == ["SealBundle"]
    order = whole.order(SealBundle)
    assert isinstance(order, SealBundle)
    assert [e.source for e in order.extents] == ["billing", "journal"]


def test_a_report_whose_order_is_no_longer_pending_is_ignored() -> None:
    talk = filed()
    report = ReportSectionsCollected(extent=extent(talk), **ids(talk))

    collected(talk).reported(report).then_ignored()


def test_a_source_cannot_report_about_anothers_order() -> None:
    talk = filed()
    theirs = ids(talk, CollectSections, "billing") | {"source": "journal"}

    talk.reported(ReportSourceUnavailable(code="SOURCE_DOWN", **theirs)).then_ignored()
    gone = ReportExtentsGone(
        request_id=theirs["request_id"], order_id=theirs["order_id"], source="x"
    )
    talk.reported(gone).then_ignored()


def test_a_report_that_is_none_of_an_exports_is_ignored() -> None:
    talk = filed()

    talk.reported(ReportStepStarted(**ids(talk))).then_ignored()


def test_a_source_that_is_down_is_waited_for_by_name() -> None:
    talk = filed()
    down = talk.reported(ReportSourceUnavailable(code="SOURCE_DOWN", **ids(talk)))

    down.then(ev.SourceBecameUnavailable)
    assert export(down).sources["journal"].waiting_code == "SOURCE_DOWN"
    down.reported(ReportSourceUnavailable(code="SOURCE_DOWN", **ids(talk))).then_ignored()
    assert TimerName.WAIT_MAX in down.timers()


def test_a_source_that_comes_back_is_no_longer_waited_for() -> None:
    talk = filed()
    down = talk.reported(ReportSourceUnavailable(code="SOURCE_DOWN", **ids(talk)))

    back = collected(down)
    assert export(back).sources["journal"].waiting_since is None
    assert TimerName.WAIT_MAX not in back.timers()


@pytest.mark.requirement("E0-38", "E0-39")
def test_waiting_ends_after_the_profiles_time_with_the_reason() -> None:
    talk = filed()
    down = talk.reported(ReportSourceUnavailable(code="SOURCE_DOWN", **ids(talk)))

    failed = down.rings(TimerName.WAIT_MAX).then(ev.RequestFailed)
    assert (export(failed).failure, export(failed).failed_source) == ("SOURCE_DOWN", "journal")
    assert failed.now - talk.now == talk.policy.wait_max
    failed.when(SUBMIT_EXPORT, command_id="2" * 32).then(ev.ExportSubmitted)


def test_a_source_that_refuses_fails_the_export() -> None:
    talk = filed()
    failed = talk.reported(ReportSourceRefused(code="NOT_OURS", **ids(talk)))

    assert failed.then(ev.RequestFailed).request.failure == "NOT_OURS"


def test_fragments_that_are_gone_are_collected_again_as_a_new_run() -> None:
    talk = collected(filed())
    seal = ids(talk, SealBundle, None)

    again = talk.reported(ReportExtentsGone(source="journal", **seal)).then(ev.SectionsLost)
    order = again.order(CollectSections, "journal")
    assert order.fence == 2
    assert collected(again, "journal").order(SealBundle).order_id != seal["order_id"]


def test_fragments_of_a_source_that_is_in_no_extent_are_not_missed() -> None:
    talk = collected(filed())
    seal = ids(talk, SealBundle, None)

    talk.reported(ReportExtentsGone(source="nowhere", **seal)).then_ignored()


def test_fragments_near_their_end_are_collected_again() -> None:
    talk = collected(filed(), "journal")

    again = talk.rings(TimerName.EXTENTS_STALE).then(ev.SectionsLost)
    assert again.kinds_owed() == ["CollectSections", "CollectSections"]


def test_an_export_that_hears_nothing_fails_as_stalled() -> None:
    assert filed().rings(TimerName.STALLED).then(ev.RequestFailed).request.failure == "STALLED"


@pytest.mark.requirement("E0-26")
def test_a_sealed_archive_completes_the_export_and_owes_a_letter() -> None:
    talk = sealed(collected(filed())).then(ev.BundleSealed, ev.RequestCompleted)

    assert (talk.request.state, talk.request.outcome) == (State.COMPLETED, Outcome.FULL)
    assert talk.kinds_owed() == ["SendNotice"]
    assert notified(talk).then(ev.NoticeSent).orders == []


def test_a_person_without_data_gets_an_archive_that_says_so() -> None:
    talk = sealed(collected(filed()), has_records=False)

    assert talk.request.outcome is Outcome.NO_DATA


@pytest.mark.requirement("E4-48")
def test_where_the_letter_is_required_ready_waits_for_the_mailer() -> None:
    talk = Conversation().under(notify_ready_required=True).when(SUBMIT_EXPORT)
    done = sealed(collected(talk)).then(ev.BundleSealed)
    assert done.request.state is State.IN_PROGRESS

    assert notified(done).then(ev.NoticeSent, ev.RequestCompleted).request.outcome is Outcome.FULL


@pytest.mark.requirement("E4-T09")
def test_where_the_letter_is_required_its_refusal_fails_the_export() -> None:
    talk = Conversation().under(notify_ready_required=True).when(SUBMIT_EXPORT)
    done = sealed(collected(talk))

    report = ReportNoticeFailed(code="MAIL_REFUSED", **ids(done, SendNotice, None))
    failed = done.reported(report).then(ev.NoticeFailed, ev.RequestFailed)
    assert export(failed).failure == "EMAIL_DELIVERY_FAILED"
    assert failed.kinds_owed() == ["RemoveBundle"]


def test_a_letter_that_is_only_a_notice_may_be_given_up() -> None:
    talk = sealed(collected(filed()))

    given_up = talk.rings(TimerName.NOTICE_GIVE_UP).then(ev.NoticeFailed)
    assert given_up.request.state is State.COMPLETED
    assert given_up.orders == []


@pytest.mark.requirement("E4-T08")
def test_an_archive_that_cannot_be_stored_fails_without_a_letter() -> None:
    talk = collected(filed())
    report = ReportBundleFailed(code="STORE_UNAVAILABLE", **ids(talk, SealBundle, None))

    failed = talk.reported(report).then(ev.RequestFailed)
    assert failed.kinds_owed() == ["RemoveBundle"]


@pytest.mark.requirement("E0-35", "E0-37")
def test_after_seven_days_archive_and_keys_go_and_the_request_stays_completed() -> None:
    talk = notified(ready_export())

    expired = talk.rings(TimerName.BUNDLE_EXPIRY).then(ev.BundleExpired)
    assert expired.now - talk.now == timedelta(days=7)
    removed = expired.reported(ReportBundleRemoved(**ids(expired, RemoveBundle, None)))
    gone = keys_destroyed(removed.then(ev.BundleRemoved)).then(ev.SubjectKeysDestroyed)
    assert gone.orders == []
    assert gone.request.state is State.COMPLETED


def test_a_timer_that_only_one_clock_thinks_due_does_nothing() -> None:
    talk = notified(ready_export())

    talk.rings(TimerName.BUNDLE_EXPIRY, early_by=timedelta(seconds=1)).then_ignored()


def test_where_nothing_was_begun_only_keys_and_vault_rows_go() -> None:
    failed = filed().rings(TimerName.STALLED)

    assert failed.kinds_owed() == ["DestroyKeys"]
    assert keys_destroyed(failed).orders == []


def test_a_key_report_without_its_order_is_ignored() -> None:
    talk = ready_export()

    talk.reported(
        ReportKeysDestroyed(request_id=talk.request.request_id, order_id="0", fingerprints=())
    ).then_ignored()

from dataclasses import replace
from datetime import timedelta

import pytest

from rights import events as ev
from rights.commands import CancelRequest, FireTimer, GrantDownload
from rights.lifecycle import State
from rights.policies import Role
from rights.timers import TimerName
from tests.support.spec import ADMIN, CLOCK, COACH, Conversation
from tests.support.stories import SUBMIT_EXPORT, collected, ready_export


def fetch(talk: Conversation) -> GrantDownload:
    return GrantDownload(request_id=talk.request.request_id, token_sha256="9" * 64)


@pytest.mark.requirement("E0-30")
def test_a_download_is_granted_for_an_hour() -> None:
    talk = ready_export()
    granted = talk.when(fetch(talk), ADMIN, command_id="3" * 32).then(ev.DownloadGranted)

    (grant,) = granted.subject.exports[-1].grants
    assert grant.until - granted.now == timedelta(hours=1)


def test_a_grant_never_outlives_the_archive() -> None:
    talk = ready_export().after(timedelta(days=7) - timedelta(minutes=10))
    granted = talk.when(fetch(talk))

    (grant,) = granted.subject.exports[-1].grants
    assert grant.until - granted.now == timedelta(minutes=10)


def test_grants_that_are_over_are_forgotten_at_the_next() -> None:
    talk = ready_export()
    first = talk.when(fetch(talk), command_id="3" * 32).after(timedelta(hours=2))

    assert len(first.when(fetch(talk), command_id="4" * 32).subject.exports[-1].grants) == 1


@pytest.mark.requirement("E4-T14")
def test_an_expired_archive_is_gone_even_before_it_was_swept() -> None:
    talk = ready_export().after(timedelta(days=7))
    talk.when(fetch(talk)).then_rejected("GONE_GDPR_EXPORT")

    swept = ready_export().rings(TimerName.BUNDLE_EXPIRY)
    swept.when(fetch(swept)).then_rejected("GONE_GDPR_EXPORT")


def test_nothing_can_be_fetched_before_it_is_ready() -> None:
    talk = Conversation().when(SUBMIT_EXPORT)

    talk.when(fetch(talk)).then_rejected("NOT_READY")


def test_who_the_policy_does_not_name_may_not_fetch() -> None:
    talk = ready_export(Conversation().under(download_roles=(Role.SUBJECT,)))

    talk.when(fetch(talk), ADMIN).then_rejected("FORBIDDEN")


def test_a_request_that_does_not_exist_is_not_found() -> None:
    talk = Conversation()
    for command in (GrantDownload(request_id="0", token_sha256="9"), CancelRequest(request_id="0")):
        talk.when(command).then_rejected("NOT_FOUND")
    talk.when(
        FireTimer(request_id="0", timer=TimerName.STALLED, due_at=talk.now), CLOCK
    ).then_ignored()


def test_an_open_export_can_be_cancelled_once_and_again() -> None:
    talk = Conversation().when(SUBMIT_EXPORT)
    cancel = CancelRequest(request_id=talk.request.request_id)

    cancelled = talk.when(cancel, command_id="5" * 32).then(ev.RequestCancelled)
    assert cancelled.request.state is State.CANCELLED
    assert cancelled.kinds_owed() == ["DestroyKeys"]
    cancelled.when(cancel, command_id="6" * 32).then()


def test_what_a_cancelled_export_had_begun_is_removed() -> None:
    talk = collected(Conversation().when(SUBMIT_EXPORT))
    cancelled = talk.when(CancelRequest(request_id=talk.request.request_id))

    assert cancelled.kinds_owed() == ["RemoveBundle"]


def test_a_finished_export_can_no_longer_be_cancelled() -> None:
    talk = ready_export()

    talk.when(CancelRequest(request_id=talk.request.request_id)).then_rejected("TOO_LATE")


def test_a_coach_cannot_cancel() -> None:
    talk = Conversation().when(SUBMIT_EXPORT)
    cancel = CancelRequest(request_id=talk.request.request_id)

    talk.when(cancel, COACH).then_rejected("FORBIDDEN")
    talk.when(cancel, replace(ADMIN, role=Role.PRIVACY_OFFICER)).then(ev.RequestCancelled)


def test_a_timer_that_no_state_waits_for_does_nothing() -> None:
    talk = ready_export()
    request_id = talk.request.request_id

    talk.when(
        FireTimer(request_id=request_id, timer=TimerName.GRACE_END, due_at=talk.now), CLOCK
    ).then_ignored()

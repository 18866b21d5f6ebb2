from dataclasses import replace

import pytest

from rights import events as ev
from rights.commands import ApproveExport
from rights.lifecycle import State
from rights.policies import PROFILES, Role
from tests.support.spec import ADA, ADMIN, COACH, HERSELF, Conversation
from tests.support.stories import SUBMIT_EXPORT, past_no_return, ready_export

WITH_REASON = replace(SUBMIT_EXPORT, reason_vault_id="v3")


@pytest.mark.requirement("E0-16")
def test_a_person_files_for_themselves_and_the_export_is_pending() -> None:
    talk = Conversation().when(SUBMIT_EXPORT).then(ev.ExportSubmitted)

    assert talk.request.state is State.PENDING
    assert talk.request.reference == "EXP-2026-00065"
    assert talk.kinds_owed() == ["CollectSections", "CollectSections"]


@pytest.mark.requirement("E0-17")
def test_a_coach_only_proposes_and_an_admin_approves() -> None:
    proposed = Conversation().when(WITH_REASON, COACH).then(ev.ExportSubmitted)
    assert proposed.request.state is State.AWAITING_CONFIRMATION
    assert proposed.orders == []

    approve = ApproveExport(request_id=proposed.request.request_id)
    assert proposed.when(approve, ADMIN).then(ev.ExportApproved).request.state is State.PENDING


def test_nobody_approves_what_they_proposed() -> None:
    proposed = Conversation().when(WITH_REASON, COACH)
    approve = ApproveExport(request_id=proposed.request.request_id)

    proposed.when(approve, COACH).then_rejected("FORBIDDEN")
    proposed.when(approve, replace(ADMIN, ref=COACH.ref)).then_rejected("FORBIDDEN")


def test_approving_what_needs_no_approval_is_rejected() -> None:
    talk = Conversation().when(SUBMIT_EXPORT)
    approve = ApproveExport(request_id=talk.request.request_id)

    talk.when(approve, ADMIN).then_rejected("VERSION_CONFLICT")


@pytest.mark.requirement("E0-18", "E0-19")
@pytest.mark.parametrize("actor", [ADMIN, COACH])
def test_whoever_files_for_another_must_give_a_reason(actor: object) -> None:
    Conversation().when(SUBMIT_EXPORT, actor).then_rejected("REASON_REQUIRED")  # type: ignore[arg-type]
    Conversation().when(WITH_REASON, actor).then(ev.ExportSubmitted)  # type: ignore[arg-type]


def test_a_second_export_is_rejected_while_one_is_open() -> None:
    Conversation().when(SUBMIT_EXPORT).when(SUBMIT_EXPORT, command_id="2" * 32).then_rejected(
        "CONFLICT_GDPR_EXPORT"
    )


def test_a_second_export_is_taken_once_the_first_is_ready() -> None:
    ready_export().when(SUBMIT_EXPORT, command_id="2" * 32).then(ev.ExportSubmitted)


@pytest.mark.requirement("E4-T04")
def test_a_live_archive_counts_as_open_where_the_profile_says_so() -> None:
    talk = ready_export(Conversation().under(dedupe_live_artifact=True))

    talk.when(SUBMIT_EXPORT, command_id="2" * 32).then_rejected("CONFLICT_GDPR_EXPORT")


def test_a_role_that_the_policy_does_not_name_may_not_file() -> None:
    Conversation().under(export_roles=(Role.ADMIN,)).when(SUBMIT_EXPORT).then_rejected("FORBIDDEN")


def test_without_a_source_there_is_nothing_to_export() -> None:
    Conversation().under(sources=()).when(SUBMIT_EXPORT).then_rejected("NO_SOURCES")


def test_nobody_files_in_another_persons_name() -> None:
    stranger = replace(HERSELF, ref="b" * 32)

    Conversation().when(SUBMIT_EXPORT, stranger).then_rejected("NOT_FOUND")


def test_a_person_on_hold_must_wait_for_somebody_to_look() -> None:
    talk = Conversation()
    held = replace(talk, subject=replace(talk.subject, is_held=True))

    held.when(SUBMIT_EXPORT).then_rejected("SUBJECT_ON_HOLD")
    assert held.given().orders == []


def test_no_export_begins_after_the_point_of_no_return() -> None:
    past_no_return().when(SUBMIT_EXPORT, command_id="2" * 32).then_rejected("CONFLICT_ERASURE")


def test_the_policy_is_pinned_with_all_its_values() -> None:
    talk = Conversation().when(SUBMIT_EXPORT)
    changed = replace(talk, policy=PROFILES["self-serve-api"])

    assert changed.request.policy == Conversation().policy
    assert changed.subject.ref == ADA

"""What states and events are called to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from rights.events import RequestEvent
from rights.lifecycle import Phase, State
from services.dashboard import words
from services.dashboard.api import Asked, Happened

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=7)


def asked(kind: Any, state: str, **more: Any) -> Asked:
    return Asked(
        reference="EXP-2026-00064",
        type=kind,
        state=state,
        phase=more.pop("phase", "NONE"),
        percent=63,
        filed_by="subject",
        requested_at=NOW,
        due_at=NOW,
        **more,
    )


@pytest.mark.parametrize(
    ("request_", "called"),
    [
        (asked("export", "AWAITING_CONFIRMATION"), "Waiting for approval"),
        (asked("export", "PENDING"), "Requested"),
        (asked("export", "IN_PROGRESS"), "Being prepared"),
        (asked("erasure", "IN_PROGRESS"), "Being deleted"),
        (asked("export", "COMPLETED", expires_at=LATER), "Ready until"),
        (asked("export", "COMPLETED", expires_at=NOW), "Expired"),
        (asked("export", "COMPLETED", expires_at=LATER, is_removed=True), "Expired"),
        (asked("erasure", "COMPLETED"), "Deleted"),
        (asked("erasure", "AWAITING_GRACE", grace_ends_at=LATER), "Scheduled for deletion on"),
        (asked("export", "FAILED"), "Could not be completed"),
        (asked("export", "CANCELLED"), "Cancelled"),
        (asked("erasure", "REJECTED"), "Cancelled"),
        (asked("erasure", "ON_HOLD"), "Waiting for somebody to look at it"),
    ],
)
def test_a_state_is_called_what_people_call_it(request_: Asked, called: str) -> None:
    assert words.standing(request_, NOW).words == called


@pytest.mark.parametrize("kind", ["export", "erasure"])
@pytest.mark.parametrize("state", State)
def test_every_state_has_a_sentence_that_shows_no_code(kind: str, state: State) -> None:
    sentence = words.progress(asked(kind, state, expires_at=LATER), NOW)
    assert sentence.endswith(".")
    assert "_" not in sentence


@pytest.mark.parametrize("phase", set(Phase) - {Phase.NONE})
def test_every_phase_has_words(phase: Phase) -> None:
    sentence = words.progress(asked("erasure", "IN_PROGRESS", phase=phase), NOW)
    assert sentence.startswith("63 % done, ")
    assert "about to begin" not in sentence


def test_whom_we_wait_for_is_said_and_why_is_not() -> None:
    waiting = asked("export", "IN_PROGRESS", phase="COLLECT", waiting_for="billing: SOURCE_DOWN")
    sentence = words.progress(waiting, NOW)
    assert "We are waiting for billing." in sentence
    assert "SOURCE_DOWN" not in sentence


@pytest.mark.parametrize("event", [event.__name__ for event in get_args(RequestEvent)])
def test_every_event_of_a_request_has_words(event: str) -> None:
    happened = Happened(at=NOW, event=event, details={"source": "billing"})
    sentence = words.event_words(happened)
    assert sentence.endswith(".")
    assert "{" not in sentence
    assert "One more step" not in sentence


def test_an_event_that_is_not_known_yet_is_a_step_all_the_same() -> None:
    assert words.event_words(Happened(at=NOW, event="Invented")) == "One more step was recorded."


def test_an_export_is_offered_to_be_cancelled_until_its_file_is_there() -> None:
    offered = [
        words.is_cancellable(asked("export", "IN_PROGRESS", phase=phase))
        for phase in ("COLLECT", "SEAL", "NOTIFY")
    ]
    assert offered == [True, True, False]
    assert not words.is_cancellable(asked("export", "COMPLETED", phase="NONE"))
    assert not words.is_cancellable(asked("erasure", "IN_PROGRESS", phase="CHECK"))

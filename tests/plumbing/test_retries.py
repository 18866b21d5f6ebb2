"""Trying again: as often as allowed, only after the named error, and said without its words."""

from __future__ import annotations

import pytest

from plumbing.retries import IMPATIENT, retrying


class PassingError(Exception):
    pass


def tried(*failures: Exception) -> int:
    """How often it took until it went well."""
    left = list(failures)
    tries = 0
    for attempt in retrying(PassingError, IMPATIENT):
        with attempt:
            tries += 1
            if left:
                raise left.pop(0)
    return tries


def test_what_passes_is_tried_again() -> None:
    assert tried() == 1
    assert tried(PassingError(), PassingError()) == 3


def test_attempts_are_bounded_and_the_last_error_comes_out() -> None:
    last = PassingError("last")

    with pytest.raises(PassingError, match="last"):
        tried(PassingError(), PassingError(), last, PassingError())


def test_other_errors_are_not_tried_again() -> None:
    with pytest.raises(KeyError):
        tried(KeyError("x"), PassingError())


def test_a_retry_is_said_without_the_errors_words(capsys: pytest.CaptureFixture[str]) -> None:
    tried(PassingError("ada@example.org"))

    said = capsys.readouterr().err
    assert "retrying" in said
    assert "PassingError" in said
    assert "ada" not in said

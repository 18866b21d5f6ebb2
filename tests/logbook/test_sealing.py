"""What ties a sealed thing to its place, and how long keys may be held."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from logbook.sealing import Lease, archive_context, fragment_context
from plumbing.vault import Opened, VaultRefused, VaultUnavailable
from tests.logbook.stage import Stage

PLACE: dict[str, Any] = {"source": "journal", "run_id": "r1", "ordinal": 3, "is_last": False}
ARCHIVE = {"tenant_ref": "t", "subject_ref": "s", "request_id": "r", "order_id": "o"}


def test_a_fragment_belongs_to_one_place_only(stage: Stage) -> None:
    order = stage.pending()
    here = fragment_context(order, **PLACE)
    moved: tuple[dict[str, Any], ...] = (
        {"source": "billing"},
        {"run_id": "r2"},
        {"ordinal": 4},
        {"is_last": True},
    )

    elsewhere = {fragment_context(order, **PLACE | change) for change in moved}
    others = {
        fragment_context(replace(order, subject_ref="x"), **PLACE),
        fragment_context(replace(order, tenant_ref="x"), **PLACE),
        fragment_context(replace(order, request_id="x"), **PLACE),
    }

    assert len(elsewhere | others | {here}) == len(moved) + 3 + 1


def test_collecting_and_sealing_name_the_same_place(stage: Stage) -> None:
    order = stage.pending()

    # The bundler holds another order about the same request.
    assert fragment_context(order, **PLACE) == fragment_context(
        replace(order, order_id="another"), **PLACE
    )


def test_an_archive_belongs_to_one_order_only() -> None:
    here = archive_context(**ARCHIVE)

    assert all(archive_context(**ARCHIVE | {part: "x"}) != here for part in ARCHIVE)


class _Keyring:
    """Lends for ten seconds; fails when told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.now_s = 0.0
        self.failure: Exception | None = None

    def __call__(self) -> Opened:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return Opened(fields={"v": {"asked": self.asked}}, keys={}, lease=timedelta(seconds=10))

    def lease(self) -> Lease:
        return Lease(self, monotonic=lambda: self.now_s)


def test_a_lease_is_renewed_at_half_time() -> None:
    keyring = _Keyring()
    lease = keyring.lease()

    for second in (0, 1, 4, 5, 9, 10):
        keyring.now_s = second
        lease.get()

    assert keyring.asked == 3


def test_what_is_held_may_be_used_while_the_keyring_is_away_and_no_longer() -> None:
    keyring = _Keyring()
    lease = keyring.lease()
    first = lease.get()
    keyring.failure = VaultUnavailable("UNREACHABLE")

    keyring.now_s = 9.9
    assert lease.get() is first

    keyring.now_s = 10
    with pytest.raises(VaultUnavailable):
        lease.get()
    # And it is not found again later.
    keyring.now_s = 3
    with pytest.raises(VaultUnavailable):
        lease.get()


def test_a_refusal_ends_the_lease_at_once() -> None:
    keyring = _Keyring()
    lease = keyring.lease()
    lease.get()
    keyring.failure = VaultRefused("ORDER_NOT_PENDING")
    keyring.now_s = 6

    with pytest.raises(VaultRefused):
        lease.get()
    keyring.failure = VaultUnavailable("UNREACHABLE")
    with pytest.raises(VaultUnavailable):
        lease.get()


def test_a_keyring_that_never_answered_lent_nothing() -> None:
    keyring = _Keyring()
    keyring.failure = VaultUnavailable("TIMED_OUT")

    with pytest.raises(VaultUnavailable):
        keyring.lease().get()

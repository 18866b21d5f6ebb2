"""How long a worker may hold what the vault lent it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from logbook.sealing import Lease
from plumbing.vault import Opened, VaultRefused, VaultUnavailable

LENT = timedelta(seconds=60)


class Vault:
    """Answers, or fails, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None
        self.now_s = 1000.0
        self.takes_s = 0.0

    def open(self) -> Opened:
        self.asked += 1
        self.now_s += self.takes_s
        if self.failure:
            raise self.failure
        return Opened({}, {}, LENT)

    def lease(self) -> Callable[[], Opened]:
        return Lease(self.open, monotonic=lambda: self.now_s).get


def test_what_is_held_is_not_asked_for_again_before_half_time() -> None:
    vault = Vault()
    get = vault.lease()

    first = get()
    vault.now_s += 29
    assert get() is first
    vault.now_s += 2
    assert get() is not first

    assert vault.asked == 2


def test_the_lease_counts_from_the_moment_of_asking() -> None:
    vault = Vault()
    vault.takes_s = 31
    get = vault.lease()

    get()
    get()

    assert vault.asked == 2


def test_an_unanswered_renewal_leaves_the_rest_of_the_lease() -> None:
    vault = Vault()
    get = vault.lease()
    first = get()
    vault.failure = VaultUnavailable()

    vault.now_s += 59
    assert get() is first
    vault.now_s += 1
    with pytest.raises(VaultUnavailable):
        get()


def test_what_ran_out_is_let_go_and_lent_again_when_the_vault_is_back() -> None:
    vault = Vault()
    get = vault.lease()
    first = get()
    vault.failure = VaultUnavailable()
    vault.now_s += 61
    with pytest.raises(VaultUnavailable):
        get()
    vault.failure = None

    assert get() is not first


def test_a_refused_renewal_ends_it_at_once() -> None:
    vault = Vault()
    get = vault.lease()
    get()
    vault.failure = VaultRefused("KEY_DESTROYED")
    vault.now_s += 31

    with pytest.raises(VaultRefused):
        get()

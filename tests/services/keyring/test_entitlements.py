"""The table of what may be opened, the tokens of who asks, and the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from plumbing.config import ConfigError, describe, load
from plumbing.vault import MAY_CALL
from rights.orders import Order
from services.keyring.config import KeyringConfig
from services.keyring.entitlements import OPENS, OPENS_GRANTS
from services.keyring.tokens import SERVICES, ServiceTokens, parse
from tests.services.keyring.running import TOKENS, token

ENVIRONMENT = {
    "KEYRING_KAFKA": "127.0.0.1:9092",
    "KEYRING_LOG_ID": "7f3a" * 8,
    "KEYRING_PARTITIONS": "3",
    "KEYRING_POSTGRES": "postgresql://somewhere/keyring",
    "KEYRING_KEK": "/run/keyring/kek",
    "KEYRING_IDENTITY": "/run/keyring/identity",
    "KEYRING_TOKENS": TOKENS,
}


def test_every_kind_of_order_stands_in_the_table() -> None:
    assert OPENS.keys() == set(get_args(Order))


def test_whoever_an_order_opens_for_may_call_open_at_all() -> None:
    assert OPENS_GRANTS.union(*OPENS.values()) == MAY_CALL["open"]


def test_no_order_opens_for_two_services() -> None:
    assert all(len(services) <= 1 for services in OPENS.values())


def test_a_service_is_known_by_its_token_only() -> None:
    tokens = ServiceTokens(TOKENS)

    assert {service: tokens.service_of(token(service)) for service in SERVICES} == {
        service: service for service in SERVICES
    }
    assert tokens.service_of("") is None
    assert tokens.service_of("token-of-nobody") is None


@pytest.mark.parametrize(
    "text",
    [
        "decider:0123456789abcdef",
        "bundler",
        "bundler:short",
        "bundler:0123456789abcdef,eraser:0123456789abcdef",
        "bundler:0123456789abcdef,bundler:fedcba9876543210",
    ],
)
def test_tokens_that_are_weak_shared_or_nobody_s_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="token") as refused:
        parse(text)

    assert "0123456789abcdef" not in str(refused.value)


def test_the_configuration_is_read_and_shows_no_secret() -> None:
    config = load(KeyringConfig, environ={**ENVIRONMENT, "KEYRING_LEASE_S": "2"})

    assert (config.kek, config.lease_s.total_seconds()) == (Path("/run/keyring/kek"), 2)
    shown = repr(describe(config)) + repr(config)
    assert "token-of" not in shown
    assert "postgresql" not in shown


@pytest.mark.parametrize("wrong", [{"KEYRING_TOKENS": "bundler:short"}, {"KEYRING_LEASE_S": "0"}])
def test_a_configuration_that_is_not_safe_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        load(KeyringConfig, environ={**ENVIRONMENT, **wrong})

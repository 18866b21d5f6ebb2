"""Access tokens: only the issuer's own signature, for us, now, proves a caller."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from plumbing.clock import ManualClock
from plumbing.web import Caller, Issuer, IssuerUnavailable, TokenRefused, TokenVerifier
from tests.plumbing.web.issuing import NOW, DemoIssuer, SigningKey, new_key


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        verifier.verify(token)
    return refused.value.code


def segment(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_good_token_proves_its_caller(issuer: DemoIssuer, verifier: TokenVerifier) -> None:
    assert verifier.verify(issuer.token()) == Caller(
        subject="person-ines",
        tenant="acme",
        roles=frozenset({"member"}),
        scopes=frozenset({"requests:read", "requests:file"}),
        auth_time=datetime(2026, 11, 21, 10, 29, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: RSAKey.generate_key(2048, auto_kid=True),
        lambda: OKPKey.generate_key("Ed25519", auto_kid=True),
    ],
)
def test_issuers_may_sign_in_several_ways(
    issuer: DemoIssuer, verifier: TokenVerifier, make_key: Callable[[], SigningKey]
) -> None:
    issuer.key = make_key()

    assert verifier.verify(issuer.token()).subject == "person-ines"


def test_a_service_has_no_person_and_perhaps_no_tenant(
    issuer: DemoIssuer, verifier: TokenVerifier
) -> None:
    caller = verifier.verify(
        issuer.token(sub="journal", client_id="journal", tenant=None, auth_time=None, scope=None)
    )

    assert (caller.subject, caller.client_id, caller.tenant) == ("journal", "journal", None)
    assert (caller.auth_time, caller.scopes) == (None, frozenset())


def test_one_of_several_audiences_may_be_us(issuer: DemoIssuer, verifier: TokenVerifier) -> None:
    verifier.verify(issuer.token(aud=["other", "habeas"]))


def test_an_expired_token_is_refused(
    issuer: DemoIssuer, verifier: TokenVerifier, clock: ManualClock
) -> None:
    token = issuer.token()
    clock.advance(timedelta(minutes=5, seconds=29))
    verifier.verify(token)

    clock.advance(timedelta(seconds=1))

    assert refusal(verifier, token) == "EXPIRED_TOKEN.EXP"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", "somebody-else"),
        ("aud", ["somebody", "else"]),
        ("aud", None),
        ("iss", "https://issuer.example.com"),
        ("iss", None),
        ("exp", None),
        ("exp", "tomorrow"),
        ("exp", float("nan")),
        ("nbf", int(NOW.timestamp()) + 3600),
        ("iat", int(NOW.timestamp()) + 3600),
        ("sub", None),
        ("sub", ""),
        ("sub", 7),
        ("tenant", ["acme", "globex"]),
        ("roles", "admin"),
        ("roles", [{"name": "admin"}]),
        ("scope", ["requests:read"]),
        ("auth_time", "now"),
        ("auth_time", 10**30),
        ("client_id", 7),
    ],
)
def test_a_claim_that_is_wrong_or_missing_refuses_the_token(
    issuer: DemoIssuer, verifier: TokenVerifier, claim: str, value: Any
) -> None:
    assert refusal(verifier, issuer.token(**{claim: value}))


def test_a_token_without_a_signature_is_refused(
    issuer: DemoIssuer, verifier: TokenVerifier
) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        header = segment({"alg": algorithm, "kid": issuer.key.kid})
        assert refusal(verifier, f"{header}.{segment(issuer.claims())}.") == "ALGORITHM"


def test_the_public_key_is_no_shared_secret(issuer: DemoIssuer, verifier: TokenVerifier) -> None:
    signed = f"{segment({'alg': 'HS256', 'kid': issuer.key.kid})}.{segment(issuer.claims())}"
    public = issuer.key.as_pem(private=False)
    digest = hmac.digest(public, signed.encode(), "sha256")
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    assert refusal(verifier, f"{signed}.{signature}") == "ALGORITHM"


def test_somebody_elses_signature_under_the_issuers_key_id_is_refused(
    issuer: DemoIssuer, verifier: TokenVerifier
) -> None:
    other = new_key()
    header = {"alg": "ES256", "kid": issuer.key.kid}

    assert refusal(verifier, jwt.encode(header, issuer.claims(), other)) == "BAD_SIGNATURE"


def test_a_changed_claim_breaks_the_signature(issuer: DemoIssuer, verifier: TokenVerifier) -> None:
    header, _, signature = issuer.token().split(".")
    forged = segment(issuer.claims(roles=["admin"]))

    assert refusal(verifier, f"{header}.{forged}.{signature}") == "BAD_SIGNATURE"


def test_a_key_in_the_tokens_own_header_is_not_believed(
    issuer: DemoIssuer, verifier: TokenVerifier
) -> None:
    other = new_key()
    header = {"alg": "ES256", "kid": other.kid, "jwk": other.as_dict(private=False)}

    assert refusal(verifier, jwt.encode(header, issuer.claims(), other))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "ä.b.c", "e30.e30.", "x" * 9000, f"{'W10'}.e30.", "bnVsbA.e30.e30"],
)
def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    assert refusal(verifier, token)


@pytest.mark.parametrize(
    "header", [{"alg": ["RS256"]}, {"alg": "RS256"}, {"alg": "RS256", "kid": 1}]
)
def test_a_header_of_wrong_types_is_refused(verifier: TokenVerifier, header: Any) -> None:
    assert refusal(verifier, f"{segment(header)}.e30.c2ln")


def test_a_rotated_key_is_fetched_when_its_first_token_comes(
    issuer: DemoIssuer, verifier: TokenVerifier
) -> None:
    verifier.verify(issuer.token())
    issuer.rotate()

    verifier.verify(issuer.token())

    assert issuer.fetches == 2


def test_a_key_that_the_issuer_withdrew_is_forgotten_within_ten_minutes(
    issuer: DemoIssuer, verifier: TokenVerifier, clock: ManualClock
) -> None:
    old = issuer.key
    exp = int(NOW.timestamp()) + 3600
    verifier.verify(issuer.token(key=old, exp=exp))
    issuer.rotate()

    verifier.verify(issuer.token(key=old, exp=exp))
    clock.advance(timedelta(minutes=10))

    assert refusal(verifier, issuer.token(key=old, exp=exp)) == "KEY_UNKNOWN"


def test_keys_are_fetched_once_for_many_tokens(issuer: DemoIssuer, verifier: TokenVerifier) -> None:
    threads = [threading.Thread(target=verifier.verify, args=(issuer.token(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert issuer.fetches == 1


def test_made_up_key_ids_do_not_become_requests_to_the_issuer(
    issuer: DemoIssuer, verifier: TokenVerifier, clock: ManualClock
) -> None:
    strangers = [new_key()] * 20
    for stranger in strangers:
        assert refusal(verifier, issuer.token(key=stranger)) == "KEY_UNKNOWN"
    assert issuer.fetches == 2

    clock.advance(timedelta(seconds=5))
    assert refusal(verifier, issuer.token(key=strangers[0])) == "KEY_UNKNOWN"
    assert issuer.fetches == 3


def test_an_issuer_that_is_down_is_not_the_callers_fault(
    issuer: DemoIssuer, verifier: TokenVerifier, clock: ManualClock
) -> None:
    issuer.down = True
    with pytest.raises(IssuerUnavailable):
        verifier.verify(issuer.token())

    issuer.down = False
    verifier.verify(issuer.token())
    issuer.down = True
    verifier.verify(issuer.token())
    clock.advance(timedelta(minutes=10))
    with pytest.raises(IssuerUnavailable):
        verifier.verify(issuer.token(exp=int(NOW.timestamp()) + 3600))


def test_another_issuers_discovery_document_is_not_believed(
    issuer: DemoIssuer, clock: ManualClock
) -> None:
    verifier = TokenVerifier(Issuer(url=f"{issuer.url}/", audience="habeas"), clock)

    with pytest.raises(IssuerUnavailable):
        verifier.verify(issuer.token())


def test_keys_may_stand_elsewhere_than_discovery_says(
    issuer: DemoIssuer, clock: ManualClock
) -> None:
    issuer_elsewhere = Issuer(
        url="https://sign-in.example.org", audience="habeas", jwks_url=f"{issuer.url}/jwks"
    )

    caller = TokenVerifier(issuer_elsewhere, clock).verify(
        issuer.token(iss="https://sign-in.example.org")
    )

    assert caller.subject == "person-ines"


def test_keys_for_other_uses_or_of_unknown_kinds_do_not_disturb(
    issuer: DemoIssuer, verifier: TokenVerifier
) -> None:
    encryption = new_key()
    issuer.extra_keys = [
        {"kty": "PQ", "kid": "future"},
        {**encryption.as_dict(private=False), "use": "enc"},
        new_key().as_dict(private=False),
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2gtZm9yLWhtYWM"},
    ]

    verifier.verify(issuer.token())
    assert refusal(verifier, issuer.token(key=encryption)) == "KEY_UNKNOWN"


def test_a_caller_of_the_development_issuer_is_proved(issuer_url: str) -> None:
    """The stack's issuer and this verifier agree about claims."""
    import httpx2  # noqa: PLC0415 -- Only this test goes over the wire itself.

    from plumbing.clock import SystemClock  # noqa: PLC0415

    form = {"grant_type": "password", "username": "ines", "password": "ines-demo"}
    token = httpx2.post(f"{issuer_url}/token", data=form).json()["access_token"]

    caller = TokenVerifier(Issuer(url=issuer_url, audience="habeas"), SystemClock()).verify(token)

    assert (caller.subject, caller.tenant) == ("person-ines", "acme")

"""The development issuer, over HTTP, with the check that production uses."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import httpx2
import pytest

from devstack.issuer import signing_key
from plumbing.clock import SystemClock
from plumbing.web.tokens import Issuer, TokenRefused, TokenVerifier


@pytest.fixture(scope="module")
def verifier(issuer_url: str) -> TokenVerifier:
    return TokenVerifier(Issuer(url=issuer_url, audience="habeas"), SystemClock())


def ask(issuer_url: str, **form: str) -> httpx2.Response:
    return httpx2.post(f"{issuer_url}/token", data=form)


def claims_of(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return decoded


def test_a_person_who_signs_in_is_known_by_stable_id_tenant_and_roles(
    issuer_url: str, verifier: TokenVerifier
) -> None:
    answer = ask(issuer_url, grant_type="password", username="ines", password="ines-demo")
    caller = verifier.verify(answer.json()["access_token"])
    assert (caller.subject, caller.tenant) == ("person-ines", "acme")
    assert caller.roles == {"member"}
    assert caller.auth_time is not None


def test_a_token_carries_nothing_but_what_is_needed(issuer_url: str) -> None:
    answer = ask(issuer_url, grant_type="password", username="ines", password="ines-demo")
    claims = claims_of(answer.json()["access_token"])
    assert set(claims) == {"iss", "aud", "sub", "exp", "iat", "auth_time", "tenant", "roles"}
    assert answer.headers["cache-control"] == "no-store"


def test_a_service_signs_in_with_its_secret_in_the_form_or_in_the_header(
    issuer_url: str, verifier: TokenVerifier
) -> None:
    form = {"grant_type": "client_credentials"}
    in_form = ask(issuer_url, client_id="journal", client_secret="journal-demo", **form)
    in_header = httpx2.post(f"{issuer_url}/token", data=form, auth=("journal", "journal-demo"))
    for answer in (in_form, in_header):
        caller = verifier.verify(answer.json()["access_token"])
        assert (caller.subject, caller.client_id, caller.auth_time) == ("journal", "journal", None)
        assert caller.roles == {"service"}


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password", "username": "ines", "password": "no"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "who", "password": ""}, 400, "invalid_grant"),
        (
            {
                "grant_type": "password",
                "username": "ines",
                "password": "ines-demo",
                "tenant": "other",
            },
            400,
            "invalid_grant",
        ),
        ({"grant_type": "client_credentials", "client_id": "journal"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({}, 400, "unsupported_grant_type"),
    ],
)
def test_everybody_else_is_refused_in_the_standards_words(
    issuer_url: str, form: dict[str, str], status: int, error: str
) -> None:
    answer = ask(issuer_url, **form)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_a_broken_basic_header_is_refused_not_a_crash(issuer_url: str) -> None:
    answer = httpx2.post(
        f"{issuer_url}/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": "Basic ///not-base64"},
    )
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_a_token_of_another_audience_or_signer_is_worth_nothing(
    issuer_url: str, verifier: TokenVerifier
) -> None:
    answer = ask(issuer_url, grant_type="password", username="ines", password="ines-demo")
    token = answer.json()["access_token"]
    elsewhere = TokenVerifier(Issuer(url=issuer_url, audience="another"), SystemClock())
    with pytest.raises(TokenRefused):
        elsewhere.verify(token)
    head, body, _ = token.split(".")
    with pytest.raises(TokenRefused):
        verifier.verify(f"{head}.{body}.{'A' * 342}")


def test_the_published_keys_hold_no_private_part(issuer_url: str) -> None:
    [key] = httpx2.get(f"{issuer_url}/jwks").json()["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


def test_the_key_is_kept_over_a_restart_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = signing_key(tmp_path / "issuer")
    assert signing_key(tmp_path / "issuer").kid == first.kid
    mode = (tmp_path / "issuer" / "key.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600

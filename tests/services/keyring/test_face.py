"""The HTTP face where it is more than the vault's contract: who calls, when it cannot answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest

from plumbing.config import Secret
from plumbing.postgres import connect
from plumbing.vault import HttpVault, VaultRefused, VaultUnavailable
from rights.orders import CollectSections
from tests.services.keyring.running import Installation, Running, token
from tests.services.keyring.world import MAYA, TENANT, Log, maya_fields, open_for


@pytest.fixture
def http(keyring: Running) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=keyring.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {token('request_api')}",
        f"Bearer {token('request_api')}x",
        "Bearer \xe9",
    ],
)
def test_without_a_service_s_token_nobody_learns_anything(http: httpx2.Client, header: str) -> None:
    body = {"tenant": TENANT, "stable_id": MAYA.stable_id}
    headers = {b"Authorization": header.encode("latin-1")} if header else {}

    answer = http.post("/find", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_FAILED")


def test_a_wrong_token_is_a_refusal_for_the_caller(keyring: Running) -> None:
    with (
        HttpVault(keyring.url, Secret("not the token")) as vault,
        pytest.raises(VaultRefused) as refused,
    ):
        vault.find(TENANT, MAYA.stable_id)

    assert refused.value.code == "NOT_ALLOWED"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"tenant": ""}',
        b'{"tenant": "acme", "stable_id": "a", "fields": {}, "put_id": "p", "more": 1}',
        b'{"tenant": "acme", "stable_id": "a", "fields": {"f": {"purpose": "work"}}, "put_id": ""}',
    ],
)
def test_malformed_calls_are_refused_without_repeating_them(
    http: httpx2.Client, body: bytes
) -> None:
    headers = {
        "Authorization": f"Bearer {token('request_api')}",
        "Content-Type": "application/json",
    }

    answer = http.post("/put", content=body, headers=headers)

    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == "VALIDATION_FAILED"


def test_a_body_beyond_the_limit_is_refused(keyring: Running) -> None:
    fields = maya_fields()
    huge = {"text": "x" * 2**20}

    with pytest.raises(VaultRefused) as refused:
        keyring.client("request_api").put(
            MAYA, {"reason": type(fields["comms"])("audit", huge)}, "put"
        )

    assert refused.value.code == "VALIDATION_FAILED"


def test_an_opening_waits_for_the_log_and_then_says_that_it_is_behind(
    keyring: Running, log: Log
) -> None:
    put = keyring.client("request_api").put(MAYA, maya_fields(), "put")
    log.file_export(put)
    order = log.order(put.subject_ref, CollectSections, "journal")
    partition, seq = log.at(put.subject_ref)

    with pytest.raises(VaultUnavailable) as unavailable:
        keyring.client("collectors").open(order_id=order.order_id, at=(partition, seq + 1))

    assert unavailable.value.code == "LOG_BEHIND"


def test_liveness_and_readiness_are_asked_without_a_token(http: httpx2.Client) -> None:
    assert http.get("/livez").status_code == 200
    assert http.get("/readyz").status_code == 200


def test_without_its_database_a_keyring_is_not_ready_and_nothing_is_put(
    installation: Installation, keyring: Running, http: httpx2.Client
) -> None:
    forbid(installation.dsn)

    with pytest.raises(VaultUnavailable):
        keyring.client("request_api").put(MAYA, maya_fields(), "put")
    assert http.get("/readyz").status_code == 503
    assert http.get("/livez").status_code == 200


def test_a_damaged_row_is_no_answer_at_all(
    keyring: Running, installation: Installation, log: Log
) -> None:
    put = keyring.client("request_api").put(MAYA, maya_fields(), "put")
    log.file_export(put)
    order = log.order(put.subject_ref, CollectSections, "journal")
    with closing(connect(installation.dsn, autocommit=True)) as connection:
        connection.execute("UPDATE keyring.vault_row SET ciphertext = '\\x00'")

    with pytest.raises(VaultUnavailable) as unavailable:
        open_for(keyring.client("collectors"), log, order)

    assert unavailable.value.code == "DAMAGED"


def test_every_use_is_counted_by_service_and_outcome(
    keyring: Running, installation: Installation, log: Log
) -> None:
    api = keyring.client("request_api")
    put = api.put(MAYA, maya_fields(), "put")
    api.find(TENANT, MAYA.stable_id)
    api.find(TENANT, MAYA.stable_id)
    log.file_export(put)
    order = log.order(put.subject_ref, CollectSections, "journal")
    open_for(keyring.client("collectors"), log, order)
    with pytest.raises(VaultRefused):
        open_for(keyring.client("bundler"), log, order)

    keyring.process.flush_counts()
    api.find(TENANT, MAYA.stable_id)
    keyring.process.flush_counts()

    with closing(connect(installation.dsn, autocommit=True)) as connection:
        found = connection.execute(
            "SELECT service, operation, outcome, count FROM keyring.used ORDER BY 1, 2"
        ).fetchall()
    assert found == [
        ("bundler", "open", "NOT_ALLOWED", 1),
        ("collectors", "open", "OK", 1),
        ("request_api", "find", "OK", 3),
        ("request_api", "put", "OK", 1),
    ]


def test_log_lines_name_nobody(
    keyring: Running, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    put = keyring.client("request_api").put(MAYA, maya_fields(), "put")
    log.file_export(put)
    with pytest.raises(VaultRefused):
        keyring.client("request_api").find(TENANT)

    lines = capsys.readouterr().err

    assert [json.loads(line)["event"] for line in lines.splitlines()][-1] == "refused"
    assert "maya" not in lines.lower()
    assert MAYA.stable_id not in lines


class TestAClientWithoutAKeyring:
    def test_a_closed_port_is_unreachable(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = server.getsockname()[1]
        with (
            HttpVault(f"http://127.0.0.1:{port}", Secret("t")) as vault,
            pytest.raises(VaultUnavailable) as unavailable,
        ):
            vault.public_key()

        assert unavailable.value.code == "UNREACHABLE"

    def test_silence_is_a_time_out(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            with (
                HttpVault(url, Secret("t"), answer_s=0.05) as vault,
                pytest.raises(VaultUnavailable) as unavailable,
            ):
                vault.public_key()

        assert unavailable.value.code == "TIMED_OUT"

    def test_the_token_is_not_shown(self) -> None:
        with HttpVault("http://127.0.0.1:1", Secret("a secret token")) as vault:
            assert "a secret token" not in repr(vault) + repr(vars(vault))


def forbid(dsn: str) -> None:
    """Take the database away: nobody may connect, and who is connected is thrown out."""
    name = dsn.rpartition("/")[2].partition("?")[0]
    with closing(connect(dsn.replace(f"/{name}", "/postgres"), autocommit=True)) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )

"""`python -m services.keyring` as it is run: a process, a real broker, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plumbing.clock import ManualClock
from plumbing.config import Secret
from plumbing.kafka import KafkaConnection, TopicSpec
from plumbing.vault import HttpVault, VaultUnavailable
from rights.orders import CollectSections, DestroyKeys
from schemas.topics import DECISIONS, ORDERS_KEYS, dead_letters, reports
from services.keyring.keyfiles import make_identity, make_kek
from tests.services.keyring.running import TOKENS, token
from tests.services.keyring.world import (
    MAYA,
    MAYA_HANDLES,
    Dispatch,
    Log,
    maya_fields,
    open_for,
    publish_to,
)
from tests.support.log_writer import LOG_ID
from tests.support.waiting import until

_TOPICS = (DECISIONS, ORDERS_KEYS, reports("keyring"), dead_letters("keyring"))


@dataclass
class Machine:
    """Where keyrings are started; only one at a time."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def keyring(self, failpoint: str = "") -> Iterator[subprocess.Popen[bytes]]:
        environment = {**os.environ, **self.environment, "HABEAS_FP": failpoint}
        with (self.folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.keyring"], env=environment, stderr=stderr
            )
        try:
            until(lambda: self.said("ready") or process.poll() is not None, 30)
            assert process.poll() is None, (self.folder / "stderr").read_text()
            yield process
        finally:
            process.kill()
            process.wait(10)

    def said(self, event: str) -> dict[str, int] | None:
        for line in (self.folder / "stderr").read_text().splitlines():
            if line.endswith("}") and (found := json.loads(line))["event"] == event:
                return dict(found)
        return None

    def client(self, service: str) -> HttpVault:
        ready = self.said("ready")
        assert ready, "the keyring is not ready"
        return HttpVault(f"http://127.0.0.1:{ready['port']}", Secret(token(service)))


@pytest.fixture
def connection(kafka_bootstrap: str) -> Iterator[KafkaConnection]:
    """The catalogue's own names on the shared broker, empty for this test."""
    made = KafkaConnection(bootstrap=kafka_bootstrap, client_id="keyring-tests")
    admin = made.admin()
    admin.delete_topics(_TOPICS)
    until(lambda: not admin.topics() & set(_TOPICS), 20)
    admin.ensure_topics([TopicSpec(name=name, partitions=3) for name in _TOPICS])
    yield made
    admin.delete_topics(_TOPICS)
    admin.close()


@pytest.fixture
def machine(tmp_path: Path, kafka_bootstrap: str, postgres_dsn: str) -> Machine:
    make_kek(tmp_path / "kek")
    make_identity(tmp_path / "identity")
    return Machine(
        tmp_path,
        {
            "KEYRING_KAFKA": kafka_bootstrap,
            "KEYRING_LOG_ID": LOG_ID,
            "KEYRING_PARTITIONS": "3",
            "KEYRING_POSTGRES": postgres_dsn,
            "KEYRING_KEK": str(tmp_path / "kek"),
            "KEYRING_IDENTITY": str(tmp_path / "identity"),
            "KEYRING_TOKENS": TOKENS,
            "KEYRING_PORT": "0",
            "KEYRING_LEASE_S": "0.2",
        },
    )


@pytest.fixture
def log(connection: KafkaConnection) -> Log:
    return Log(publish_to(connection), ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)))


def test_a_keyring_serves_leaves_no_core_and_stops_when_asked(machine: Machine, log: Log) -> None:
    with machine.keyring() as process:
        with machine.client("request_api") as api, machine.client("collectors") as collectors:
            put = api.put(MAYA, maya_fields(), "put")
            log.file_export(put)
            order = log.order(put.subject_ref, CollectSections, "journal")
            opened = open_for(collectors, log, order)
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    assert opened.fields == {put.vault_ids["handles"]: MAYA_HANDLES}
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]
    assert code == 0


def test_a_keyring_killed_before_it_answered_gives_the_same_answer_after_it(
    machine: Machine, log: Log
) -> None:
    with machine.keyring("keyring.put:1:kill") as process, machine.client("request_api") as api:
        with pytest.raises(VaultUnavailable):
            api.put(MAYA, maya_fields(), "put")
        assert process.wait(10) == -signal.SIGKILL

    with machine.keyring(), machine.client("request_api") as api:
        kept = api.find(MAYA.tenant, MAYA.stable_id)
        assert api.put(MAYA, maya_fields(), "put").subject_ref == kept


@pytest.mark.parametrize("where", ["keyring.dying", "keyring.deleted", "keyring.reported"])
def test_a_keyring_killed_while_it_destroys_finishes_after_it(
    machine: Machine, connection: KafkaConnection, log: Log, where: str
) -> None:
    dispatch = Dispatch(connection, log)
    with machine.keyring(f"{where}:1:kill") as process:
        with machine.client("request_api") as api, machine.client("collectors") as collectors:
            put = api.put(MAYA, maya_fields(), "put")
            log.file_export(put)
            for order in log.orders(put.subject_ref, CollectSections):
                open_for(collectors, log, order)
        doomed = log.expire(put.subject_ref)
        dispatch.send(doomed)
        assert process.wait(30) == -signal.SIGKILL
    before = len(dispatch.reports())

    with machine.keyring():
        until(lambda: len(dispatch.reports()) > before, 30)
    dispatch.decide(doomed)

    assert log.orders(put.subject_ref, DestroyKeys) == []

"""The main job, from HTTP to proof, on real parts; then what it left behind is searched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.products.loading import people
from plumbing.kafka import Outgoing
from schemas.topics import PROGRESS
from tests.support.canaries import canaries, in_database, in_files, in_topics
from tests.support.installation import Installation


@pytest.fixture(scope="module")
def told(installation: Installation) -> Installation:
    """The installation after the demo's whole story."""
    summary = installation.story().tell()
    assert {r["state"] for r in summary.requests.values()} == {"COMPLETED"}
    assert len(summary.requests) == 3
    return installation


def audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "devstack", "audit", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.requirement("E0-16", "E0-32", "E3-09", "E3-12", "E3-13", "E3-25", "E3-31")
def test_an_export_and_two_erasures_run_from_http_to_proof(told: Installation) -> None:
    """The story itself checks every step; here only that its rows were counted."""
    verdict = audit("verify", "--bootstrap", told.running.endpoints.kafka_bootstrap, "--json")

    assert verdict.returncode == 0, verdict.stderr
    found = json.loads(verdict.stdout)
    assert found["voids"] == 0
    assert found["decisions"] > 30


def test_one_changed_byte_of_a_copied_log_is_named(told: Installation, tmp_path: Path) -> None:
    copy = tmp_path / "log.jsonl"
    bootstrap = told.running.endpoints.kafka_bootstrap
    assert audit("dump", "--bootstrap", bootstrap, "--out", str(copy)).returncode == 0
    assert audit("verify", "--dump", str(copy)).returncode == 0
    lines = copy.read_text(encoding="utf-8").splitlines(keepends=True)
    where = next(n for n, line in enumerate(lines) if '"value"' in line) + 3
    record = json.loads(lines[where])
    value = record["value"]
    changed = "A" if value[40] != "A" else "B"
    record["value"] = value[:40] + changed + value[41:]
    lines[where] = json.dumps(record) + "\n"
    copy.write_text("".join(lines), encoding="utf-8")

    verdict = audit("verify", "--dump", str(copy), "--json")
    assert verdict.returncode == 3
    first_bad = json.loads(verdict.stdout)["first_bad"]
    assert (first_bad["partition"], first_bad["offset"]) == (record["partition"], record["offset"])


def test_nobody_can_be_found_outside_sources_keyring_and_letters(told: Installation) -> None:
    """The same search then finds who is planted: one that finds nothing proves nothing."""
    looked_for = canaries(people())
    running = told.running
    state = running.stack.state
    found = in_topics(running.connection, looked_for)
    for database in ("views", "keyring"):
        found += in_database(running.endpoints.postgres_dsn(database), looked_for)
    # Kafka's own files as they lie on disk, our logs, temporary files and the object store.
    folders = [state / name for name in ("kafka", "log", "spool", "snapshots", "objects")]
    found += in_files([folder for folder in folders if folder.exists()], looked_for)

    assert found == []
    planted = told.person("Ada").email.encode().hex().encode()
    producer = running.connection.producer()
    producer.send_and_wait([Outgoing(topic=PROGRESS, value=planted)], 10)
    producer.close()
    (state / "log" / "planted.log").write_bytes(told.person("Ada").name.encode())
    assert in_topics(running.connection, looked_for)
    assert in_files([state / "log"], looked_for)

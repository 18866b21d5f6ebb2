"""The stack as a whole, on real parts in a folder of its own."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.doctor import Doctor, Finding
from devstack.kafka import known_brokers
from devstack.launcher import PidFiles, StackError
from devstack.launcher.pidfiles import started
from devstack.postgres import answers
from devstack.stack import Endpoints, Stack, StackSettings, down, require_disk
from plumbing.config import load
from plumbing.kafka import KafkaConnection, Outgoing, TopicSpec
from plumbing.postgres import connect, errors
from tests.support.stack import Provider
from tests.support.waiting import until

# Runs a stack in a process of its own, as `habeas up` does.
UP = """
from pathlib import Path
from devstack.stack import Stack, StackSettings
from plumbing.config import load
from plumbing.process import Stop
stop = Stop()
stop.install()
settings = load(StackSettings)
with Stack(state=settings.state, cache=settings.jar_cache(print), stop=stop) as stack:
    stack.start("mail", "postgres")
    print("up", flush=True)
    stack.supervisor.watch()
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> StackSettings:
    configured = load(StackSettings)
    return StackSettings(
        state=tmp_path_factory.mktemp("whole"),
        cache=configured.cache,
        maven_url=configured.maven_url,
    )


@pytest.fixture(scope="module")
def whole(settings: StackSettings) -> Iterator[Stack]:
    with Stack(state=settings.state, cache=settings.jar_cache(print)) as stack:
        stack.start()
        yield stack


def by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


def test_the_doctor_finds_a_running_stack_well(whole: Stack, settings: StackSettings) -> None:
    found = by_name(Doctor(settings).examine())
    del found["Python packages"]
    assert {one.status for one in found.values()} == {"ok"}, found


def test_the_doctor_names_missing_topics(whole: Stack, settings: StackSettings) -> None:
    found = by_name(Doctor(settings, expected_topics=["rights.missing.v1"]).examine())
    assert found["topics"].status == "fail"
    assert "rights.missing.v1" in found["topics"].cause


def test_a_broker_killed_in_the_middle_comes_back_with_its_records(whole: Stack) -> None:
    connection = KafkaConnection(bootstrap=whole.kafka.bootstrap, client_id="test")
    admin = connection.admin()
    admin.ensure_topics([TopicSpec(name="kept", partitions=1, config={}, replication=1)])
    producer = connection.producer()
    producer.send_and_wait([Outgoing(topic="kept", key=b"k", value=b"v")], 10)
    whole.supervisor.kill("kafka")
    whole.supervisor.restart("kafka")
    reader = connection.reader()
    reader.assign({("kept", 0): 0})
    [record] = reader.poll(1, 30)
    assert record.value == b"v"
    reader.close()
    admin.close()


def test_starting_again_changes_nothing(whole: Stack) -> None:
    before = {name: whole.supervisor.children.pid(name) for name in ("postgres", "mail")}
    assert whole.start() == whole.addresses()
    assert {name: whole.supervisor.children.pid(name) for name in before} == before


def test_a_second_stack_in_the_same_folder_is_refused(
    whole: Stack, settings: StackSettings
) -> None:
    with pytest.raises(StackError) as told:
        Stack(state=settings.state, cache=settings.jar_cache(print)).start("mail")
    assert told.value.code == "already_running"


def test_the_state_folder_is_its_owners_alone(whole: Stack, tmp_path: Path) -> None:
    require_disk(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    for secret in ("postgres/password", "objects/keys.json", "objects/s3proxy.properties"):
        assert stat.S_IMODE((whole.state / secret).stat().st_mode) == 0o600


def test_no_secret_stands_on_a_command_line_or_in_a_log(whole: Stack) -> None:
    secrets = (
        (whole.state / "postgres/password").read_text(),
        whole.addresses().s3_secret,
    )
    for running in PidFiles(whole.state / "run").alive().values():
        line = Path(f"/proc/{running.pid}/cmdline").read_bytes().decode()
        assert not any(secret in line for secret in secrets)
    for log in (whole.state / "log").iterdir():
        assert not any(secret in log.read_text(errors="replace") for secret in secrets)


def test_postgres_logs_no_value_of_a_failing_statement(whole: Stack) -> None:
    dsn = whole.addresses("postgres").postgres_dsn("postgres")
    with connect(dsn, autocommit=True) as session:
        session.execute("CREATE TABLE people (email text PRIMARY KEY)")
        session.execute("INSERT INTO people VALUES ('ines@example.org')")
        with pytest.raises(errors.UniqueViolation):
            session.execute("INSERT INTO people VALUES ('ines@example.org')")
        with pytest.raises(errors.InvalidTextRepresentation):
            session.execute("SELECT CAST('ines@example.org' AS integer)")
    assert "ines@" not in whole.supervisor.children.log_file("postgres").read_text()


def test_an_empty_endpoint_means_not_started(stack: Provider) -> None:
    assert Endpoints().kafka_bootstrap == ""
    assert stack.start("mail").smtp_port > 0


def up(tmp_path: Path) -> subprocess.Popen[str]:
    launched = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(UP)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launched.stdout is not None
    with launched.stdout as lines:
        assert lines.readline() == "up\n"
    return launched


def test_down_stops_a_stack_from_outside_and_leaves_no_process(tmp_path: Path) -> None:
    launched = up(tmp_path)
    state = tmp_path / ".habeas"
    pids = [running.pid for running in PidFiles(state / "run").alive().values()]
    assert set(down(state)) == {"mail", "postgres", "supervisor"}
    assert launched.wait(5) == 0
    assert not any(started(pid) for pid in pids)
    assert PidFiles(state / "run").names() == ()
    assert down(state) == ()


def test_after_kill_minus_nine_of_everything_the_next_start_works(tmp_path: Path) -> None:
    launched = up(tmp_path)
    state = tmp_path / ".habeas"
    pids = [running.pid for running in PidFiles(state / "run").alive().values()]
    launched.kill()
    launched.wait()
    until(lambda: not any(started(pid) for pid in pids), 15)
    again = up(tmp_path)
    assert answers(Stack(state=state, cache=load(StackSettings).jar_cache(print)).postgres.dsn())
    down(state)
    again.wait(5)


def test_a_part_whose_remembered_port_was_taken_says_so(tmp_path: Path) -> None:
    settings = load(StackSettings)
    with Stack(state=tmp_path, cache=settings.jar_cache(print)) as stack:
        port = stack.addresses("mail").smtp_port
        with socket.create_server(("127.0.0.1", port)), pytest.raises(StackError) as told:
            stack.start("mail")
    assert told.value.code == "port_in_use"
    assert "ports.json" in told.value.next_step


def test_a_closed_port_is_no_broker() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert known_brokers(nobody.getsockname()[1]) == 0


def test_a_server_that_is_no_broker_is_no_broker(smtp_endpoint: Endpoints) -> None:
    assert known_brokers(smtp_endpoint.smtp_port) == 0

"""What is missing, why, and the command that mends it: `habeas doctor [--json]`.

Every check looks for itself and may find the same cause as another; a check that cannot be made
because the stack is not running says so as a warning, not as a failure.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from devstack import issuer
from devstack.downloads import locked
from devstack.kafka import known_brokers
from devstack.launcher import SUPERVISOR, PidFiles, PortBook, StackError, is_free
from devstack.postgres import answers
from devstack.stack import DISK_WANTED, Stack, StackSettings, java, postgres_programs
from plumbing.config import Secret, load
from plumbing.kafka import BrokerError, KafkaConnection
from plumbing.objects import S3Location, S3Objects, StoreError

PYTHON_WANTED = (3, 11)
_SETUP, _UP = "make setup", "habeas up"
_AGAIN = "habeas down && habeas up"
_ROUND_TRIP = b"habeas doctor"

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one check ended; `cause` says what was seen, `command` mends it."""

    status: Status
    cause: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    number: int
    name: str
    status: Status
    cause: str
    command: str


def _ok(seen: str) -> Verdict:
    return Verdict(status="ok", cause=seen)


def _warn(cause: str, command: str) -> Verdict:
    return Verdict(status="warn", cause=cause, command=command)


def _fail(cause: str, command: str) -> Verdict:
    return Verdict(status="fail", cause=cause, command=command)


class Doctor:
    """Looks at one state folder and at the machine it lies on. It starts and mends nothing."""

    def __init__(self, settings: StackSettings, *, expected_topics: Iterable[str] = ()) -> None:
        self._settings = settings
        self._state = settings.state.absolute()
        self._expected_topics = frozenset(expected_topics)
        self._pids = PidFiles(self._state / "run")
        self._ports = PortBook(self._state / "ports.json").all()

    def examine(self) -> tuple[Finding, ...]:
        checks: tuple[tuple[str, Callable[[], Verdict]], ...] = (
            ("Python", self._python),
            ("Python packages", self._packages),
            ("Java", lambda: _runs(java, "-version")),
            ("PostgreSQL programs", lambda: _runs(lambda: postgres_programs() / "postgres", "-V")),
            ("downloaded jars", self._jars),
            ("disk space", self._disk),
            ("left-over processes", self._leftovers),
            ("ports", self._free_ports),
            ("Kafka", lambda: self._reached("kafka", self._kafka)),
            ("topics", lambda: self._reached("kafka", self._topics)),
            ("PostgreSQL", lambda: self._reached("postgres", self._postgres)),
            ("object store", lambda: self._reached("objects", self._objects)),
            ("mail", lambda: self._reached("mail", self._mail)),
            ("issuer", lambda: self._reached("issuer", self._issuer)),
        )
        return tuple(
            _finding(number, name, check) for number, (name, check) in enumerate(checks, start=1)
        )

    def _python(self) -> Verdict:
        seen = ".".join(str(number) for number in sys.version_info[:3])
        if sys.version_info < PYTHON_WANTED:
            return _fail(f"Python {seen} is too old.", "install Python 3.11 or newer; make setup")
        return _ok(f"Python {seen}")

    def _packages(self) -> Verdict:
        missing = missing_packages()
        if missing:
            return _fail(f"Not installed: {', '.join(missing)}.", _SETUP)
        return _ok("all installed")

    def _jars(self) -> Verdict:
        cache = self._settings.jar_cache(lambda _sentence: None)
        jars = locked("kafka") + locked("s3proxy")
        unsound = cache.missing(jars)
        wrong = [cache.place(jar) for jar in unsound if cache.place(jar).exists()]
        if wrong:
            return _fail(f"{wrong[0]} is not the file that lock.json names.", _UP)
        if unsound:
            return _warn(f"{len(unsound)} of {len(jars)} jars are not downloaded yet.", _UP)
        return _ok(f"{len(jars)} jars, every checksum right")

    def _disk(self) -> Verdict:
        for folder in (self._state, self._settings.cache.expanduser()):
            there = next(parent for parent in (folder, *folder.parents) if parent.exists())
            free = shutil.disk_usage(there).free
            if free < DISK_WANTED:
                return _fail(f"Only {free // 1024**2} MB are free for {folder}.", f"du -sh {there}")
        return _ok("enough")

    def _leftovers(self) -> Verdict:
        alive, stale = self._pids.alive(), self._pids.stale()
        if alive and SUPERVISOR not in alive:
            return _fail(f"Without a supervisor: {', '.join(alive)}.", "habeas down")
        if stale and alive:
            return _fail(f"Ended by itself: {', '.join(stale)}.", _AGAIN)
        if stale:
            return _warn(f"Stale pid files: {', '.join(stale)}.", "habeas down")
        return _ok("none")

    def _free_ports(self) -> Verdict:
        if not self._ports:
            return _ok("none chosen yet")
        alive = self._pids.alive()
        taken = [
            f"{port} ({part})"
            for part, port in self._ports.items()
            if part.removesuffix("-controller") not in alive and not is_free(port)
        ]
        if taken:
            return _fail(
                f"Used by another program: {', '.join(taken)}.",
                f"habeas down && rm {self._state / 'ports.json'}",
            )
        return _ok(f"{len(self._ports)} chosen")

    def _reached(self, part: str, check: Callable[[], Verdict]) -> Verdict:
        if SUPERVISOR not in self._pids.alive():
            return _warn("The stack is not running.", _UP)
        if not any(name.startswith(part) for name in self._ports):
            return _warn(f"{part} was not started.", _UP)
        return check()

    def _kafka(self) -> Verdict:
        # One broker is "kafka"; several are "kafka-1" and so on.
        ports = [
            port
            for part, port in self._ports.items()
            if part.startswith("kafka") and not part.endswith("-controller")
        ]
        for port in ports:
            if known_brokers(port) < len(ports):
                return _fail(f"No full answer from the broker on port {port}.", _AGAIN)
        return _ok(f"{len(ports)} broker" + ("s" if len(ports) > 1 else ""))

    def _topics(self) -> Verdict:
        broker = self._kafka()
        if broker.status != "ok":
            return broker
        address = self._stack().addresses("kafka").kafka_bootstrap
        admin = KafkaConnection(bootstrap=address, client_id="doctor").admin()
        try:
            topics = admin.topics()
        except BrokerError as error:
            return _fail(f"The broker did not list its topics ({error}).", _AGAIN)
        finally:
            admin.close()
        missing = sorted(self._expected_topics - topics)
        if missing:
            return _fail(f"Missing: {', '.join(missing)}.", _AGAIN)
        return _ok(f"{len(topics)}, none missing")

    def _postgres(self) -> Verdict:
        if not answers(self._stack().addresses("postgres").postgres_dsn("postgres")):
            return _fail("No session can be opened.", _AGAIN)
        return _ok("a session opens")

    def _objects(self) -> Verdict:
        where = self._stack().addresses("objects")
        store = S3Objects(
            S3Location(
                endpoint=where.s3_url,
                bucket=where.s3_bucket,
                access_key=where.s3_key,
                secret_key=Secret(where.s3_secret),
            )
        )
        key = "doctor/round-trip"
        try:
            upload = store.start(key, {})
            upload.part(_ROUND_TRIP)
            upload.complete()
            came_back = b"".join(store.read(key))
            store.delete(key)
        except StoreError as error:
            return _fail(f"The store answered {error.code}.", _AGAIN)
        if came_back != _ROUND_TRIP:
            return _fail("What was written did not come back.", _AGAIN)
        return _ok("written, read, removed; it has no lifecycle rules, expiry is our own act")

    def _mail(self) -> Verdict:
        where = self._stack().addresses("mail")
        try:
            with smtplib.SMTP(where.smtp_host, where.smtp_port, timeout=3) as session:
                session.noop()
        except (OSError, smtplib.SMTPException):
            return _fail(f"Nobody speaks SMTP on port {where.smtp_port}.", _AGAIN)
        return _ok("the server greets")

    def _issuer(self) -> Verdict:
        keys = issuer.published_keys(self._ports["issuer"])
        if not keys:
            return _fail("It publishes no keys.", _AGAIN)
        return _ok(f"{keys} key published")

    def _stack(self) -> Stack:
        return Stack(state=self._state, cache=self._settings.jar_cache(lambda _sentence: None))


def missing_packages() -> list[str]:
    """Those that the project and its embedded stack require and that are not installed."""
    try:
        required = importlib.metadata.requires("habeas") or []
    except importlib.metadata.PackageNotFoundError:
        return ["habeas"]
    missing = []
    for requirement in required:
        words, _, condition = requirement.partition(";")
        if "extra" in condition and "embedded" not in condition:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", words.strip(), maxsplit=1)[0]
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return missing


def _runs(program: Callable[[], Path], option: str) -> Verdict:
    command = (str(program()), option)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _fail(f"{command[0]} does not run ({type(error).__name__}).", _SETUP)
    if done.returncode:
        return _fail(f"{command[0]} ends with exit code {done.returncode}.", _SETUP)
    return _ok((done.stdout or done.stderr).strip().splitlines()[0])


def _finding(number: int, name: str, check: Callable[[], Verdict]) -> Finding:
    try:
        verdict = check()
    except StackError as error:
        verdict = _fail(error.sentence, error.next_step)
    return Finding(
        number=number,
        name=name,
        status=verdict.status,
        cause=verdict.cause,
        command=verdict.command,
    )


def as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for one in findings:
        lines.append(f"{one.number:>2}  {one.status:<4}  {one.name}: {one.cause}")
        if one.command:
            lines.append(f"          mend it with: {one.command}")
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    return json.dumps([asdict(one) for one in findings], indent=1)


def main(arguments: Sequence[str], *, expected_topics: Iterable[str] = ()) -> int:
    """Print the findings; 1 if any check failed."""
    findings = Doctor(load(StackSettings), expected_topics=expected_topics).examine()
    print(as_json(findings) if "--json" in arguments else as_text(findings))
    return int(any(one.status == "fail" for one in findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

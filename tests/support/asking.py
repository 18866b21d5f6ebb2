"""Puts commands on the decider's topics and waits for what the log says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from logbook.following import Follower, Following
from plumbing.kafka import Connection, Outgoing, TopicSpec
from rights.commands import Actor, PublishPolicy, SubmitExport
from rights.incoming import Body
from rights.policies import PROFILES, Role
from schemas.codec import encode
from schemas.log import Entry
from schemas.topics import COMMANDS_INTAKE, catalogue
from schemas.wire import CommandMessage
from tests.support.waiting import until

LOG_ID = "5e" * 16
PARTITIONS = 3
SOURCES = ("billing", "journal")
TENANT = "7" * 32
ADMIN = Actor(role=Role.ADMIN, ref="d" * 32)
EXPORT = SubmitExport(handles_vault_id="v1")
POLICY = replace(PROFILES["workspace-admin"], sources=SOURCES)


def make_topics(connection: Connection) -> None:
    admin = connection.admin()
    admin.ensure_topics(
        [
            TopicSpec(name=topic.name, partitions=PARTITIONS, config=topic.settings())
            for topic in catalogue(SOURCES, ["journal-app"])
        ]
    )
    admin.close()


def command(body: Body, actor: Actor, subject_ref: str | None, command_id: str) -> Outgoing:
    encoded = encode(body)
    now = datetime.now(UTC)
    message = CommandMessage(
        id=command_id,
        hash=hashlib.sha256(encoded).digest(),
        issuer="request_api",
        actor=actor,
        subject_ref=subject_ref,
        tenant_ref=TENANT,
        attested=(),
        issued_at=now,
        valid_until=now + timedelta(minutes=5),
        body=encoded,
    )
    key = (subject_ref or TENANT).encode()
    return Outgoing(topic=COMMANDS_INTAKE, key=key, value=encode(message))


class Asker:
    """Knows every entry of the log by the command it answers."""

    def __init__(self, connection: Connection) -> None:
        self._producer = connection.producer()
        self.entries: dict[str, list[Entry]] = {}
        follower = Follower(connection, range(PARTITIONS), log_id=LOG_ID)
        self.following = Following(follower, self._keep)
        self.following.start()

    def _keep(self, entry: Entry) -> None:
        self.entries.setdefault(entry.decision.command.id, []).append(entry)

    def send(self, out: Outgoing) -> None:
        self._producer.send_and_wait([out], 30)

    def ask(
        self, body: Body, actor: Actor, subject_ref: str | None = None, *, seconds: float = 30
    ) -> Entry:
        """Send one command and wait for its decision."""
        command_id = os.urandom(16).hex()
        self.send(command(body, actor, subject_ref, command_id))
        return self.answer(command_id, seconds=seconds)

    def answer(self, command_id: str, *, seconds: float = 30) -> Entry:
        until(lambda: self.entries.get(command_id), seconds)
        return self.entries[command_id][0]

    def file_export(self, *, seconds: float = 30) -> Entry:
        """A new invented person asks for their data."""
        ref = os.urandom(16).hex()
        return self.ask(EXPORT, Actor(role=Role.SUBJECT, ref=ref), ref, seconds=seconds)

    def publish(self) -> None:
        """Publish a policy and wait until deciders of every partition use it."""
        self.ask(PublishPolicy(policy=POLICY), ADMIN)
        until(lambda: self.file_export().decision.code == "", 30)

    def all(self) -> list[Entry]:
        return [entry for entries in self.entries.values() for entry in entries]

    def close(self) -> None:
        self.following.stop()
        self._producer.close()


@contextmanager
def asking(connection: Connection) -> Iterator[Asker]:
    asker = Asker(connection)
    try:
        yield asker
    finally:
        asker.close()

"""What every measurement stands on: topics with a partition for each run, and commands in them.

Rates are read off the broker's own clock: every topic stamps its records when they are appended, so
nobody has to stand beside a loop and disturb it.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection, Outgoing, Reader, TopicPartition, TopicSpec
from rights.commands import Actor, CancelRequest, PublishPolicy, SubmitExport
from rights.incoming import Body
from rights.policies import PROFILES, Role
from schemas.codec import encode
from schemas.topics import COMMANDS_INTAKE, DECISIONS, Topic, catalogue
from schemas.wire import CommandMessage

LOG_ID: Final = "b3" * 16
TENANT: Final = "7e" * 16
SOURCES: Final = ("billing", "journal")
# The hand-written loop writes here, under the settings of the log's own topic.
LIMIT: Final = "bench.limit.v1"
BATCH: Final = 200
PATIENCE_S: Final = 180.0
# Longer than any transaction takes.
STILL_S: Final = 0.5
_ADMIN: Final = Actor(role=Role.ADMIN, ref="ad" * 16)
_POLICY: Final = replace(PROFILES["workspace-admin"], sources=SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One run's partition of every topic, and how many commands wait in its intake."""

    bootstrap: str
    partition: int
    partitions: int
    commands: int

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(bootstrap=self.bootstrap, client_id="benchmarks")


def lay_out(bootstrap: str, partitions: int) -> None:
    """Make every topic with as many partitions as there will be runs."""
    topics = {topic.name: topic for topic in catalogue(SOURCES, [])}
    limit = replace(topics[DECISIONS], name=LIMIT)
    admin = KafkaConnection(bootstrap=bootstrap, client_id="benchmarks").admin()
    admin.ensure_topics([_spec(topic, partitions) for topic in (*topics.values(), limit)])
    admin.close()


def _spec(topic: Topic, partitions: int) -> TopicSpec:
    return TopicSpec(name=topic.name, partitions=partitions, config=topic.settings())


def preload(plot: Plot, kind: str) -> None:
    """A policy and then the run's commands, all from different people.

    `trivial`: each is refused after one look at the state. `filing`: each files an export.
    """
    producer = plot.connection.producer()
    for out in _commands(plot, kind):
        producer.send(out)
    assert producer.flush(PATIENCE_S) == 0, "the broker took every command"
    producer.close()


def _commands(plot: Plot, kind: str) -> Iterator[Outgoing]:
    now = SystemClock().now()
    policy = PublishPolicy(policy=_POLICY)
    yield _command(plot, policy, _ADMIN, None, now=now)
    for _ in range(plot.commands):
        ref = os.urandom(16).hex()
        person = Actor(role=Role.SUBJECT, ref=ref)
        body: Body
        if kind == "trivial":
            body = CancelRequest(request_id=os.urandom(16).hex())
        else:
            handles, comms = os.urandom(16).hex(), os.urandom(16).hex()
            body = SubmitExport(handles_vault_id=handles, comms_vault_id=comms)
        yield _command(plot, body, person, ref, now=now)


def _command(
    plot: Plot, body: Body, actor: Actor, subject_ref: str | None, *, now: datetime
) -> Outgoing:
    encoded = encode(body)
    message = CommandMessage(
        id=os.urandom(16).hex(),
        hash=hashlib.sha256(encoded).digest(),
        issuer="request_api",
        actor=actor,
        subject_ref=subject_ref,
        tenant_ref=TENANT,
        attested=(),
        issued_at=now,
        valid_until=now + timedelta(hours=1),
        body=encoded,
    )
    return Outgoing(
        topic=COMMANDS_INTAKE,
        key=(subject_ref or TENANT).encode(),
        value=encode(message),
        partition=plot.partition,
    )


def appended(plot: Plot, topic: str, count: int) -> list[datetime]:
    """When each of the last `count` records of the run's partition was appended.

    Only the end offset is asked for while the run is under way; the records are read after it has
    stood still for a while. It counts control records too, so it cannot say that all are there.

    Raises:
        TimeoutError: they did not come in time.
    """
    place = (topic, plot.partition)
    reader = plot.connection.reader()
    moments: list[datetime] = []
    try:
        _await_stillness(reader, place, count)
        reader.assign({place: 0})
        end = reader.end_offsets([place])[place]
        while reader.position(place) < end:
            moments += [record.timestamp for record in reader.poll(5_000, 0.2)]
    finally:
        reader.close()
    assert len(moments) >= count, "the run stood still before its end"
    return moments[-count:]


def _await_stillness(reader: Reader, place: TopicPartition, count: int) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    before, end = -1, 0
    while end < count or end != before:
        if time.monotonic() > give_up_at:
            raise TimeoutError("the run did not end in time")
        time.sleep(STILL_S)
        before, end = end, reader.end_offsets([place])[place]


def rate(moments: list[datetime]) -> float:
    """Records a second from the first batch's append to the last one's."""
    first, last = moments[0], moments[-1]
    counted = sum(moment > first for moment in moments)
    return counted / max((last - first).total_seconds(), 0.001)

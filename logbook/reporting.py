"""A worker's reports, signs of life and dead letters, on the topics that are its own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plumbing.clock import Clock
from plumbing.kafka import Outgoing, Producer, Record
from rights.commands import Actor, Attested
from rights.orders import Order
from rights.policies import Role
from rights.reports import Report
from schemas.codec import encode
from schemas.topics import PROGRESS, dead_letters, reports
from schemas.wire import CommandMessage, DeadLetter, ProgressMessage

PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Speaks for one worker; `entropy(n)` gives n random bytes."""

    worker: str
    clock: Clock
    entropy: Callable[[int], bytes]

    def message(self, order: Order, body: Report, attested: Attested = ()) -> CommandMessage:
        encoded = encode(body)
        return CommandMessage(
            id=self.entropy(16).hex(),
            hash=hashlib.sha256(encoded).digest(),
            issuer=self.worker,
            actor=Actor(role=Role.WORKER, ref=self.worker),
            subject_ref=order.subject_ref,
            tenant_ref=order.tenant_ref,
            attested=attested,
            issued_at=self.clock.now(),
            valid_until=None,
            body=encoded,
        )

    def outgoing(self, order: Order, body: Report, attested: Attested = ()) -> Outgoing:
        """The report as a record: source reports go to their source's topic, others to ours."""
        source = getattr(body, "source", None)
        of_source = source is not None and self.worker != "bundler"
        topic = reports(source if of_source and source else self.worker)
        key = order.subject_ref.encode()
        return Outgoing(topic=topic, key=key, value=encode(self.message(order, body, attested)))

    def send(self, producer: Producer, order: Order, body: Report, attested: Attested = ()) -> None:
        """Report, and return when the broker has it."""
        producer.send_and_wait([self.outgoing(order, body, attested)], PATIENCE_S)

    def progress(self, order: Order, source: str, percent: int) -> Outgoing:
        message = ProgressMessage(
            order_id=order.order_id,
            request_id=order.request_id,
            worker=self.worker,
            source=source,
            percent=percent,
            at=self.clock.now(),
        )
        return Outgoing(topic=PROGRESS, key=order.subject_ref.encode(), value=encode(message))

    def dead_letter(self, record: Record, code: str) -> Outgoing:
        """Where an unreadable message lies, and its SHA-256; never its bytes."""
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            sha256=hashlib.sha256(record.value or b"").digest(),
            code=code,
            at=self.clock.now(),
        )
        return Outgoing(topic=dead_letters(self.worker), key=None, value=encode(letter))

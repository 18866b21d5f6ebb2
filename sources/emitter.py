"""How a product service files a request without learning HTTP, Kafka or our rules.

    with Emitter("journal-app", kafka="broker:9092", recipient=PUBLIC_KEY) as emitter:
        emitter.file_erasure(tenant="acme", stable_id=account.id, reason="closed", message_id=key)

What it says about a person is sealed to the keyring's public key (age, X25519) before it leaves
the process; nobody on the way can read it. The answer comes on `rights.outcomes.<service>.v1`.
"""

from types import TracebackType
from typing import Final, Self

import orjson
import pyrage

from plumbing.clock import Clock, SystemClock
from plumbing.kafka import Connection, KafkaConnection, Outgoing
from schemas.codec import encode
from schemas.topics import intake
from schemas.wire import IntakeRequest

PATIENCE_S: Final = 30.0
# A shorter account id may stand in a message id by chance.
_TELLING: Final = 8


class Emitter:
    """Files requests for one product service; safe to share between threads.

    The same `message_id` is the same request, however often it is sent: give one that you keep. It
    travels in the clear, so it must not be made from who the person is.
    """

    def __init__(
        self,
        service: str,
        *,
        recipient: str,
        kafka: str = "",
        connection: Connection | None = None,
        clock: Clock | None = None,
    ) -> None:
        reached = connection or KafkaConnection(bootstrap=kafka, client_id=service)
        self._topic = intake(service)
        self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        self._producer = reached.producer()
        self._clock = clock or SystemClock()

    def file_export(self, *, tenant: str, stable_id: str, reason: str, message_id: str) -> None:
        """Ask for a copy of a person's data; returns when the broker has the message.

        Raises:
            BrokerError: it may or may not be there; send it again with the same `message_id`.
            ValueError: no `message_id`, or one that holds the `stable_id`; nothing was sent.
        """
        self._file("export", tenant, stable_id, reason, message_id)

    def file_erasure(self, *, tenant: str, stable_id: str, reason: str, message_id: str) -> None:
        """Ask that a person's data be erased; an administrator confirms it.

        Raises:
            BrokerError: it may or may not be there; send it again with the same `message_id`.
            ValueError: no `message_id`, or one that holds the `stable_id`; nothing was sent.
        """
        self._file("erasure", tenant, stable_id, reason, message_id)

    def _file(self, right: str, tenant: str, stable_id: str, reason: str, message_id: str) -> None:
        if not message_id:
            raise ValueError("a message_id is what makes sending it again safe")
        if message_id == stable_id or (len(stable_id) >= _TELLING and stable_id in message_id):
            raise ValueError("the message_id travels in the clear and must not hold the stable_id")
        clear = orjson.dumps({"stable_id": stable_id, "reason": reason})
        request = IntakeRequest(
            message_id=message_id,
            right=right,
            tenant=tenant,
            sealed=pyrage.encrypt(clear, [self._recipient]),
            issued_at=self._clock.now(),
        )
        # The key spreads and orders by message, not by person: nobody can be told from it.
        out = Outgoing(topic=self._topic, key=message_id.encode(), value=encode(request))
        self._producer.send_and_wait([out], PATIENCE_S)

    def close(self) -> None:
        self._producer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

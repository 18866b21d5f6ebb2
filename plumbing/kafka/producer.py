"""Sending outside transactions: idempotent, acknowledged by all in-sync replicas.

A thread of the producer's own collects the broker's answers, so that whoever waits for one of them
is woken at once and whoever does not need not ask. It does not retry: librdkafka does.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as Librdkafka

from plumbing import telemetry
from plumbing.kafka.errors import BrokerError
from plumbing.kafka.librdkafka import broker_error, cause, introduce
from plumbing.kafka.protocols import Answer
from plumbing.kafka.records import Delivery, Outgoing

_ANY_PARTITION = -1
_ROOM_SECONDS = 30.0
_CLOSING_SECONDS = 3.0
_POLL_SECONDS = 0.1
_ROOM_POLL_SECONDS = 0.01
_Callback = Callable[[KafkaError | None, Any], None]
_log = telemetry.get("plumbing.kafka")


class KafkaProducer:
    def __init__(self, settings: dict[str, object]) -> None:
        self._producer = Librdkafka(settings)
        self._unanswered = 0
        self._answered = threading.Condition()
        self._closing = threading.Event()
        self._collector = threading.Thread(target=self._collect, name="kafka-answers", daemon=True)
        self._collector.start()

    def send(self, out: Outgoing, on_delivery: Answer | None = None) -> None:
        if not self._collector.is_alive():
            raise RuntimeError("closed, or an on_delivery callback raised")
        with self._answered:
            self._unanswered += 1
        try:
            self._enqueue(out, self._answerer(on_delivery or _log_failure))
        except (BrokerError, TypeError):
            self._one_answered()
            raise

    def flush(self, timeout: float) -> int:
        # Counted here: librdkafka counts a callback that is still running as done.
        with self._answered:
            self._answered.wait_for(lambda: self._unanswered == 0, timeout)
            return self._unanswered

    def send_and_wait(self, outs: Sequence[Outgoing], timeout: float) -> list[Delivery]:
        answers = _Answers(len(outs))
        for index, out in enumerate(outs):
            self.send(out, answers.taker(index))
        return answers.wait(timeout)

    def close(self) -> None:
        if self._closing.is_set():
            return
        if self.flush(_CLOSING_SECONDS):
            # Undelivered, and everybody who waits for an answer gets this one.
            self._producer.purge()
            self.flush(_CLOSING_SECONDS)
        self._closing.set()
        self._collector.join()
        # Not Producer.close(), which waits without a limit: the last reference ends its threads.
        del self._producer

    def _collect(self) -> None:
        introduce(self._producer)
        while not self._closing.is_set():
            self._producer.poll(_POLL_SECONDS)

    def _enqueue(self, out: Outgoing, answerer: _Callback) -> None:
        deadline = time.monotonic() + _ROOM_SECONDS
        while True:
            try:
                self._producer.produce(
                    out.topic,
                    out.value,
                    out.key,
                    _ANY_PARTITION if out.partition is None else out.partition,
                    on_delivery=answerer,
                    headers=list(out.headers),
                )
            except BufferError:
                if time.monotonic() > deadline:
                    raise BrokerError("_QUEUE_FULL", is_retriable=True) from None
                self._producer.poll(_ROOM_POLL_SECONDS)
            except KafkaException as exception:
                raise broker_error(cause(exception)) from None
            else:
                return

    def _answerer(self, answer: Answer) -> _Callback:
        def answered(error: KafkaError | None, message: Any) -> None:
            answer(_delivery(message) if error is None else broker_error(error))
            self._one_answered()

        return answered

    def _one_answered(self) -> None:
        with self._answered:
            self._unanswered -= 1
            if self._unanswered == 0:
                self._answered.notify_all()


class _Answers:
    """The answers to several records, awaited together."""

    def __init__(self, count: int) -> None:
        self._answers: dict[int, Delivery | BrokerError] = {}
        self._count = count
        self._complete = threading.Event()
        if count == 0:
            self._complete.set()

    def taker(self, index: int) -> Answer:
        def take(answer: Delivery | BrokerError) -> None:
            self._answers[index] = answer
            if len(self._answers) == self._count:
                self._complete.set()

        return take

    def wait(self, timeout: float) -> list[Delivery]:
        if not self._complete.wait(timeout):
            raise BrokerError("_TIMED_OUT", is_retriable=True)
        deliveries: list[Delivery] = []
        for _, answer in sorted(self._answers.items()):
            if isinstance(answer, BrokerError):
                raise answer
            deliveries.append(answer)
        return deliveries


def _delivery(message: Any) -> Delivery:
    return Delivery(message.topic(), message.partition(), message.offset())


def _log_failure(answer: Delivery | BrokerError) -> None:
    if isinstance(answer, BrokerError):
        _log.warning("kafka_delivery_failed", code=answer.code)

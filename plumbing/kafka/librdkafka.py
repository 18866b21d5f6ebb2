"""What librdkafka hands out, in our words: its errors, its messages, its log.

It does not decide what an error means for a transaction: `transaction` does.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from plumbing import telemetry
from plumbing.kafka.errors import BrokerError, Fenced, PositionLost
from plumbing.kafka.records import Record, TopicPartition

_INTRODUCTION_SECONDS = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# librdkafka's own errors, as opposed to the broker's, begin with an underscore.
FATAL: int = KafkaError._FATAL  # noqa: SLF001 -- As said.
_FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 -- As said.
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
_POSITION_LOST = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 -- As said.
        KafkaError._LOG_TRUNCATION,  # noqa: SLF001 -- As said.
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
# One connection to one broker failed; that all of them did comes as an error of its own.
_EVERY_TRY = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 -- As said.
        KafkaError._RESOLVE,  # noqa: SLF001 -- As said.
        KafkaError._TIMED_OUT,  # noqa: SLF001 -- As said.
    }
)
_OUT_OF_REACH = _EVERY_TRY | {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 -- As said.
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001 -- As said.
}
_SILENCE_SECONDS = 60.0
_log = telemetry.get("plumbing.kafka")


class Silence:
    """In place of librdkafka's own log, which would go to standard error past all our rules."""

    def log(self, level: int, message: str, *arguments: object) -> None: ...


class ErrorLog:
    """Says what befalls a client as a whole, though not at each of its many tries to mend it."""

    def __init__(self) -> None:
        self._silent_until: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        if error.code() in _EVERY_TRY or now < self._silent_until.get(error.code(), now):
            return
        self._silent_until[error.code()] = now + _SILENCE_SECONDS
        _log.warning("kafka_client_error", code=error.name())


def broker_error(error: KafkaError) -> BrokerError:
    if error.code() in _FENCED:
        return Fenced(error.name())
    is_retriable = error.retriable() or error.code() in _OUT_OF_REACH
    return BrokerError(error.name(), is_retriable=is_retriable)


def cause(exception: KafkaException) -> KafkaError:
    return cast("KafkaError", exception.args[0])


def introduce(producer: Producer) -> None:
    """Let a new producer meet a broker before it needs one.

    Left to itself it asks for its id while none is connected yet, and again only after half a
    second. Where nobody answers it goes its own way.
    """
    with suppress(KafkaException):
        producer.list_topics(timeout=_INTRODUCTION_SECONDS)


class Inbox:
    """A consumer's messages as records, and the position behind each partition's last one."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._failure: BrokerError | None = None
        self._millis = 0
        self._moment = _EPOCH
        self.positions: dict[TopicPartition, int] = {}

    def restart(self, positions: Mapping[TopicPartition, int]) -> None:
        self.positions = dict(positions)
        self._failure = None

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """Records first: an error found behind some of them is raised by the next call."""
        if self._failure is None:
            records = self._records(self._messages(max_records, timeout))
            if records or self._failure is None:
                return records
        failure = self._failure
        if not isinstance(failure, PositionLost):
            self._failure = None
        raise failure

    def _messages(self, max_records: int, timeout: float) -> list[Any]:
        # consume() waits for the whole batch or the whole timeout, so it is only asked for what is
        # there already; poll() returns with the first message.
        messages: list[Any] = self._consumer.consume(max_records, 0)
        if messages or timeout <= 0:
            return messages
        first = self._consumer.poll(timeout)
        if first is None:
            return []
        return [first, *self._consumer.consume(max_records - 1, 0)] if max_records > 1 else [first]

    def _records(self, messages: list[Any]) -> list[Record]:
        records: list[Record] = []
        positions = self.positions
        for message in messages:
            error = message.error()
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if error is not None:
                self._note(error, (topic, partition), offset)
                continue
            millis = message.timestamp()[1]
            if millis != self._millis:
                # A batch is appended at one moment: most of its records share this.
                self._millis, self._moment = millis, _EPOCH + timedelta(milliseconds=millis)
            headers = message.headers()
            records.append(
                Record(
                    topic,
                    partition,
                    offset,
                    message.key(),
                    message.value(),
                    self._moment,
                    tuple(headers) if headers else (),
                )
            )
            positions[topic, partition] = offset + 1
        return records

    def _note(self, error: KafkaError, partition: TopicPartition, offset: int) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- As said.
            # The only sign of what lies behind the last record: control records, aborted ones.
            self.positions[partition] = offset
        elif error.code() == FATAL:
            # The message does not say why, but a consumer of ours has this one fatal error.
            self._failure = Fenced("FENCED_INSTANCE_ID")
        elif error.code() in _POSITION_LOST:
            self._failure = PositionLost(partition, self.positions.get(partition))
        else:
            self._failure = broker_error(error)

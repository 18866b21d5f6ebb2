"""Setting up and looking after a real broker's topics."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from plumbing.kafka.errors import BrokerError, TopicMismatch
from plumbing.kafka.librdkafka import broker_error, cause
from plumbing.kafka.records import TopicPartition, TopicSpec

_T = TypeVar("_T")
_ANSWER_SECONDS = 15.0
_LOOK_AGAIN_SECONDS = 0.02
_NO_LEADER = -1
# Record.timestamp promises the broker's clock; Kafka's own default is the sender's.
_DEFAULT_CONFIG = {"message.timestamp.type": "LogAppendTime"}


class KafkaAdmin:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._client = AdminClient(settings)

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        existing = self._partition_counts()
        for spec in specs:
            _check_count(spec, existing.get(spec.name, spec.partitions))
        missing = [spec for spec in specs if spec.name not in existing]
        if not missing:
            return
        answers = self._client.create_topics(
            [
                NewTopic(spec.name, spec.partitions, spec.replication, config=_config(spec))
                for spec in missing
            ],
            request_timeout=_ANSWER_SECONDS,
        )
        # Another process may be doing the same at this moment.
        _settle(answers.values(), allowed=KafkaError.TOPIC_ALREADY_EXISTS)
        self._await_leaders(missing)

    def describe(self, topic: str) -> int | None:
        return self._partition_counts().get(topic)

    def topics(self) -> frozenset[str]:
        return frozenset(name for name in self._partition_counts() if not name.startswith("__"))

    def delete_topics(self, topics: Sequence[str]) -> None:
        if not topics:
            return
        answers = self._client.delete_topics(list(topics), request_timeout=_ANSWER_SECONDS)
        _settle(answers.values(), allowed=KafkaError.UNKNOWN_TOPIC_OR_PART)

    def trim(self, positions: Mapping[TopicPartition, int]) -> None:
        if not positions:
            return
        places = [Place(*partition, at) for partition, at in positions.items()]
        answers = self._client.delete_records(places, request_timeout=_ANSWER_SECONDS)
        _settle(answers.values())

    def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        answers = self._client.list_offsets(
            {Place(*partition): latest for partition in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_ANSWER_SECONDS,
        )
        return {
            (place.topic, place.partition): _result(answer).offset
            for place, answer in answers.items()
        }

    def committed(self, group: str) -> dict[TopicPartition, int]:
        asked = [ConsumerGroupTopicPartitions(group)]
        answers = self._client.list_consumer_group_offsets(asked, request_timeout=_ANSWER_SECONDS)
        places: list[Place] = _result(answers[group]).topic_partitions or []
        return {(place.topic, place.partition): place.offset for place in places}

    def close(self) -> None:
        # The last reference ends librdkafka's threads; there is no other way to end them.
        del self._client

    def _partition_counts(self) -> dict[str, int]:
        """Of every topic that can be used, that is, whose partitions all have a leader."""
        try:
            metadata = self._client.list_topics(timeout=_ANSWER_SECONDS)
        except KafkaException as exception:
            raise broker_error(cause(exception)) from None
        return {
            name: len(topic.partitions)
            for name, topic in metadata.topics.items()
            if topic.error is None
            and all(partition.leader != _NO_LEADER for partition in topic.partitions.values())
        }

    def _await_leaders(self, specs: Sequence[TopicSpec]) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            counts = self._partition_counts()
            if all(spec.name in counts for spec in specs):
                break
            if time.monotonic() > deadline:
                raise BrokerError("LEADER_NOT_AVAILABLE", is_retriable=True)
            time.sleep(_LOOK_AGAIN_SECONDS)
        for spec in specs:
            _check_count(spec, counts[spec.name])


def _config(spec: TopicSpec) -> dict[str, str]:
    return {**_DEFAULT_CONFIG, **spec.config}


def _check_count(spec: TopicSpec, found: int) -> None:
    if found != spec.partitions:
        raise TopicMismatch(spec.name, wanted=spec.partitions, found=found)


def _result(answer: "Future[_T]") -> _T:
    try:
        return answer.result()
    except KafkaException as exception:
        raise broker_error(cause(exception)) from None


def _settle(answers: Iterable["Future[_T]"], *, allowed: int | None = None) -> None:
    for answer in answers:
        try:
            answer.result()
        except KafkaException as exception:
            if cause(exception).code() != allowed:
                raise broker_error(cause(exception)) from None

"""Membership of a consumer group on a real broker.

Where nothing is committed a partition is read from its start, by our own hand: librdkafka's
`auto.offset.reset` cannot tell that from a position that is lost, which must stop the reader.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException
from confluent_kafka import TopicPartition as Place

from plumbing.kafka.librdkafka import Inbox, broker_error, cause
from plumbing.kafka.protocols import Owners
from plumbing.kafka.records import Record, TopicPartition

_QUERY_SECONDS = 10.0


class KafkaGroup:
    def __init__(self, settings: dict[str, object]) -> None:
        self._consumer = Consumer(settings)
        self._inbox = Inbox(self._consumer)
        self._owned: frozenset[TopicPartition] = frozenset()
        self._on_assign: Owners | None = None
        self._on_revoke: Owners | None = None
        self._ownership_only = False

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Owners | None = None,
        on_revoke: Owners | None = None,
        *,
        ownership_only: bool = False,
    ) -> None:
        self._on_assign, self._on_revoke = on_assign, on_revoke
        self._ownership_only = ownership_only
        self._consumer.subscribe(
            list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        return self._inbox.poll(max_records, timeout)

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        if not positions:
            return
        offsets = [Place(*partition, at) for partition, at in positions.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exception:
            raise broker_error(cause(exception)) from None
        for answer in answers or ():
            if answer.error is not None:
                raise broker_error(answer.error)

    def assignment(self) -> frozenset[TopicPartition]:
        return self._owned

    def close(self) -> None:
        self._consumer.close()

    def _assigned(self, consumer: Consumer, places: list[Place]) -> None:
        starts = self._starts(consumer, places)
        self._inbox.restart({})
        consumer.assign(starts)
        if self._ownership_only:
            consumer.pause(starts)
        owned = sorted((place.topic, place.partition) for place in places)
        self._owned = frozenset(owned)
        if self._on_assign is not None:
            self._on_assign(owned)

    def _starts(self, consumer: Consumer, places: list[Place]) -> list[Place]:
        if self._ownership_only:
            return [Place(place.topic, place.partition, OFFSET_BEGINNING) for place in places]
        try:
            committed = consumer.committed(places, _QUERY_SECONDS)
        except KafkaException as exception:
            raise broker_error(cause(exception)) from None
        return [
            Place(place.topic, place.partition, max(place.offset, OFFSET_BEGINNING))
            for place in committed
        ]

    def _revoked(self, consumer: Consumer, places: list[Place]) -> None:
        # First the owner, who may want to commit; then nothing is ours any more.
        if self._on_revoke is not None:
            self._on_revoke(sorted((place.topic, place.partition) for place in places))
        self._owned = frozenset()
        consumer.unassign()

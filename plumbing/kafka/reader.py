"""Reading chosen partitions of a real broker, without a group.

The position moves over control records by librdkafka's end-of-partition events (N8 of the plan:
comparing an end offset with the last record's offset waits for ever).
"""

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from plumbing.kafka.errors import BrokerError
from plumbing.kafka.librdkafka import Inbox, broker_error, cause
from plumbing.kafka.records import Record, TopicPartition

_QUERY_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02
# A partition that was just created, or whose leader is just changing.
_PASSING = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)


class KafkaReader:
    def __init__(self, settings: dict[str, object]) -> None:
        self._consumer = Consumer(settings)
        self._inbox = Inbox(self._consumer)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._inbox.restart(positions)
        self._consumer.assign([Place(*partition, at) for partition, at in positions.items()])

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        return self._inbox.poll(max_records, timeout)

    def position(self, partition: TopicPartition) -> int:
        return self._inbox.positions[partition]

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._bounds(partition)[1] for partition in partitions}

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._bounds(partition)[0] for partition in partitions}

    def close(self) -> None:
        self._consumer.close()

    def _bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Asked of the broker, under our isolation level: the end is the last stable offset."""
        deadline = time.monotonic() + _QUERY_SECONDS
        while True:
            try:
                return self._consumer.get_watermark_offsets(Place(*partition), _QUERY_SECONDS)
            except KafkaException as exception:
                error = cause(exception)
                if time.monotonic() > deadline:
                    # Whatever it is called: nobody answered.
                    raise BrokerError("_TIMED_OUT", is_retriable=True) from None
                if error.code() not in _PASSING:
                    raise broker_error(error) from None
            time.sleep(_LOOK_AGAIN_SECONDS)

"""How a broker says no. A code each, and never anything of what was in a record."""

from plumbing.kafka.records import TopicPartition


class BrokerError(Exception):
    """The broker, or the way to it, failed or refused."""

    def __init__(self, code: str, *, is_retriable: bool = False) -> None:
        super().__init__(code)
        self.code = code
        # The same call may succeed later without anybody repairing anything.
        self.is_retriable = is_retriable


class Indefinite(BrokerError):  # noqa: N818 -- A state of knowledge, and so named in the design.
    """Whether the transaction was committed is not known. Fence, replay, and only then go on."""


class Fenced(BrokerError):  # noqa: N818 -- As above.
    """Another took over, or the broker gave up on us; which of the two cannot be told apart."""


class PositionLost(BrokerError):  # noqa: N818 -- As above.
    """The records at this position are gone: trimmed away below it, or the log ends before it."""

    def __init__(self, partition: TopicPartition, position: int | None) -> None:
        super().__init__("POSITION_LOST")
        self.partition = partition
        self.position = position


class TopicMismatch(BrokerError):  # noqa: N818 -- As above.
    """The topic exists with another partition count, so keys would live elsewhere than we think."""

    def __init__(self, topic: str, *, wanted: int, found: int) -> None:
        super().__init__("TOPIC_MISMATCH")
        self.topic = topic
        self.wanted = wanted
        self.found = found

    def __str__(self) -> str:
        return f"{self.code}: {self.topic} has {self.found} partitions, not {self.wanted}"

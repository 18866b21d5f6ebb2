"""The one driver of transactional producers: fence, write a batch whole or not at all.

Rule 1: one path for every error. The producer is dropped and the caller told `Indefinite` or
`Fenced`; it forgets what it knew, fences and replays. Slower by one replay, one behaviour to test.
Rule 2: no abort is ever sent. librdkafka's can overtake the first produce and end fatally
(librdkafka #4849), and a delayed one can hit a later transaction (KAFKA-17754). The next `fence`
aborts whatever is open, under a newer epoch that shuts such stragglers out; nobody read any of it.
Rule 3: `commit_transaction()` gets no timeout: librdkafka then waits for the rest of the
transaction's own, and any other value may leave its state and the broker's apart.

The chain, not this module, makes history safe (design.md: "The chain is the log"): librdkafka does
not bump the epoch per transaction (KIP-890 part 2), so atomicity is never relied upon.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from plumbing.failpoints import FailpointError, fp
from plumbing.kafka.errors import Fenced, Indefinite
from plumbing.kafka.librdkafka import FATAL, broker_error, cause, introduce
from plumbing.kafka.records import Outgoing

_FENCE_SECONDS = 30.0
_FLUSH_SECONDS = 15.0
_FAILURES = (KafkaException, BufferError, FailpointError)
_ANY_PARTITION = -1


class TransactionDriver:
    """A `TransactionalWriter`; `settings` name the static transactional.id."""

    def __init__(self, settings: dict[str, object]) -> None:
        self._settings = settings
        self._producer: Producer | None = None

    def fence(self) -> None:
        self._drop()
        self._producer = Producer(self._settings)
        introduce(self._producer)
        try:
            self._producer.init_transactions(_FENCE_SECONDS)
        except KafkaException as exception:
            raise self._failed(exception) from None

    def write(self, batch: Sequence[Outgoing]) -> None:
        if self._producer is None:
            raise RuntimeError("write() needs fence() first")
        if not batch:
            return
        try:
            self._producer.begin_transaction()
            fp("decider.begun")
            for out in batch:
                self._producer.produce(
                    out.topic,
                    out.value,
                    out.key,
                    _ANY_PARTITION if out.partition is None else out.partition,
                    headers=list(out.headers),
                )
            fp("decider.produced")
            # The commit would wait for the acknowledgements as well; here a test can come between.
            self._producer.flush(_FLUSH_SECONDS)
            fp("decider.committing")
            self._producer.commit_transaction()
            fp("decider.committed")
        except _FAILURES as failure:
            raise self._failed(failure) from None

    def close(self) -> None:
        self._drop()

    def _drop(self) -> None:
        # Not Producer.close(): that one aborts. Nothing else may hold a reference, because the
        # last one to go ends librdkafka's threads.
        self._producer = None

    def _failed(self, failure: Exception) -> Fenced | Indefinite:
        error = self._named(failure)
        self._drop()
        return error

    def _named(self, failure: Exception) -> Fenced | Indefinite:
        if not isinstance(failure, KafkaException):
            return Indefinite(type(failure).__name__)
        error = cause(failure)
        if error.code() == FATAL and self._producer is not None:
            error = _reason_of_death(self._producer) or error
        named = broker_error(error)
        return named if isinstance(named, Fenced) else Indefinite(named.code)


def _reason_of_death(producer: Producer) -> KafkaError | None:
    """Why: produce() only says that the producer has died, maybe fenced; this call says of what.

    Nothing begins, because a dead producer refuses.
    """
    try:
        producer.begin_transaction()
    except KafkaException as exception:
        return cause(exception)
    return None

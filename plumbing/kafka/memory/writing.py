"""Producer and transactional writer over the cluster inside the process."""

from collections.abc import Sequence

from plumbing.failpoints import FailpointError, fp
from plumbing.kafka.errors import BrokerError, Fenced, Indefinite
from plumbing.kafka.memory.cluster import Cluster
from plumbing.kafka.protocols import Answer
from plumbing.kafka.records import Delivery, Outgoing


class MemoryProducer:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._is_closed = False

    def send(self, out: Outgoing, on_delivery: Answer | None = None) -> None:
        if self._is_closed:
            raise RuntimeError("closed")
        answer = self._append(out)
        if on_delivery is not None:
            on_delivery(answer)

    def flush(self, timeout: float) -> int:  # noqa: ARG002 -- Nothing is ever on its way.
        return 0

    def send_and_wait(
        self,
        outs: Sequence[Outgoing],
        timeout: float,  # noqa: ARG002 -- As above.
    ) -> list[Delivery]:
        answers: list[Delivery | BrokerError] = []
        for out in outs:
            self.send(out, answers.append)
        deliveries: list[Delivery] = []
        for answer in answers:
            if isinstance(answer, BrokerError):
                raise answer
            deliveries.append(answer)
        return deliveries

    def close(self) -> None:
        self._is_closed = True

    def _append(self, out: Outgoing) -> Delivery | BrokerError:
        with self._cluster.change():
            try:
                log = self._cluster.log_for(out)
            except BrokerError as error:
                return error
            return Delivery(*log.name, log.append(out, self._cluster.now()))


class MemoryWriter:
    """The transaction driver's twin: the same failpoints in the same places, the same one path."""

    def __init__(self, cluster: Cluster, transactional_id: str) -> None:
        self._cluster = cluster
        self._id = transactional_id
        self._epoch: int | None = None

    def fence(self) -> None:
        with self._cluster.change():
            self._epoch = self._cluster.transactions.fence(self._id)

    def write(self, batch: Sequence[Outgoing]) -> None:
        if self._epoch is None:
            raise RuntimeError("write() needs fence() first")
        if not batch:
            return
        try:
            self._transact(self._epoch, batch)
        except (BrokerError, FailpointError) as failure:
            self._epoch = None
            if isinstance(failure, Fenced):
                raise
            code = failure.code if isinstance(failure, BrokerError) else type(failure).__name__
            raise Indefinite(code) from None

    def close(self) -> None:
        self._epoch = None

    def _transact(self, epoch: int, batch: Sequence[Outgoing]) -> None:
        cluster, transactions = self._cluster, self._cluster.transactions
        with cluster.change():
            transactions.begin(self._id, epoch, cluster.boot_time())
        fp("decider.begun")
        for out in batch:
            with cluster.change():
                transactions.append(self._id, epoch, cluster.log_for(out), out, cluster.now())
        fp("decider.produced")
        fp("decider.committing")
        with cluster.change():
            transactions.commit(self._id, epoch)
        fp("decider.committed")

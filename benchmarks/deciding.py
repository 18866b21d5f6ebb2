"""The decider's real partition loop, in a process of its own."""

import os
import threading

from benchmarks.ground import BATCH, LOG_ID, SOURCES, Plot
from logbook.following import Follower, Following
from logbook.policies import fold_policies
from logbook.reporting import Reporter
from plumbing import telemetry
from plumbing.clock import SystemClock
from plumbing.process import Stop
from rights.policies import PolicyBook
from services.decider.config import DeciderConfig
from services.decider.partition import PartitionRun, Surroundings


def surroundings(plot: Plot) -> Surroundings:
    """Everything `services.decider.__main__` builds but the group, which only gives partitions."""
    connection = plot.connection
    clock = SystemClock()
    book = PolicyBook()
    follower = Follower(connection, [plot.partition], log_id=LOG_ID, is_sparing=True)
    policies = Following(follower, lambda entry: fold_policies(book, entry))
    policies.start()
    return Surroundings(
        config=DeciderConfig(
            kafka=plot.bootstrap,
            log_id=LOG_ID,
            partitions=plot.partitions,
            sources=SOURCES,
            batch_max=BATCH,
        ),
        connection=connection,
        producer=connection.producer(),
        clock=clock,
        book=book,
        policies=policies,
        reporter=Reporter(worker="decider", clock=clock, entropy=os.urandom),
    )


def run(plot: Plot) -> None:
    """Decide until asked to stop by SIGTERM."""
    telemetry.configure("decider")
    stop = Stop()
    stop.install()
    around = surroundings(plot)
    partition = PartitionRun(plot.partition, around, {})
    thread = threading.Thread(target=partition.run)
    thread.start()
    stop.wait()
    partition.stop()
    thread.join()
    around.policies.stop()
    around.producer.close()

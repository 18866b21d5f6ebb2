"""`python -m services.decider`: builds a decider from its configuration and runs it."""

import os
import sys

from logbook.following import Follower, Following
from logbook.policies import fold_policies
from logbook.reporting import Reporter
from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection
from plumbing.process import Stop
from rights.policies import PolicyBook
from services.decider.config import DeciderConfig
from services.decider.ownership import Ownership
from services.decider.partition import Surroundings


def main() -> int:
    telemetry.configure("decider")
    settings = config.load(DeciderConfig)
    stop = Stop()
    stop.install()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    clock = SystemClock()
    book = PolicyBook()
    partitions = range(settings.partitions)
    follower = Follower(connection, partitions, log_id=settings.log_id, is_sparing=True)
    policies = Following(follower, lambda entry: fold_policies(book, entry))
    policies.start()
    around = Surroundings(
        config=settings,
        connection=connection,
        producer=connection.producer(),
        clock=clock,
        book=book,
        policies=policies,
        reporter=Reporter(worker="decider", clock=clock, entropy=os.urandom),
    )
    telemetry.get("decider").info("ready")
    code = Ownership(connection.group("decider", settings.instance), around).hold(stop)
    policies.stop()
    around.producer.close()
    return code


if __name__ == "__main__":
    sys.exit(main())

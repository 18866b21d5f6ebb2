"""`python -m projections` keeps the views; `python -m projections rebuild` makes them again."""

import sys
from functools import partial

from plumbing import config, telemetry
from plumbing.kafka import KafkaConnection
from plumbing.postgres import connect
from plumbing.process import Stop, run_threads
from projections.config import ProjectionsConfig
from projections.projector import LogIdentity
from projections.rebuilding import rebuild
from projections.running import keep_progress, keep_views


def main(arguments: list[str]) -> int:
    telemetry.configure("projections")
    settings = config.load(ProjectionsConfig)
    stop = Stop()
    stop.install()
    kafka = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    dsn = settings.postgres.reveal()
    identity = LogIdentity(log_id=settings.log_id, partitions=settings.partitions)
    if arguments == ["rebuild"]:
        with connect(dsn, autocommit=True) as connection:
            return 0 if rebuild(kafka, connection, identity, stop) else 1
    if arguments:
        sys.stderr.write("usage: python -m projections [rebuild]\n")
        return 2
    return run_threads(
        stop,
        {
            "views": partial(keep_views, stop, kafka, dsn, identity),
            "progress": partial(keep_progress, stop, kafka, dsn),
        },
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A projector that dies where it is told to: `python -m tests.projections.doomed DSN FAILPOINT`."""

from __future__ import annotations

import sys

from plumbing import failpoints
from plumbing.kafka import TopicSpec
from plumbing.kafka.memory import MemoryBroker
from plumbing.postgres import connect
from projections.projector import LogIdentity, open_projector
from schemas.topics import DECISIONS
from tests.support.log_writer import LOG_ID, eventful_log

BATCH = 7


def main(dsn: str, failpoint: str) -> None:
    kafka = MemoryBroker().connection("tests")
    kafka.admin().ensure_topics([TopicSpec(name=DECISIONS, partitions=3)])
    eventful_log().publish(kafka)
    failpoints.arm(failpoint)
    with connect(dsn, autocommit=True) as connection:
        projector = open_projector(kafka, connection, LogIdentity(log_id=LOG_ID, partitions=3))
        while projector.step(0.05, BATCH):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])

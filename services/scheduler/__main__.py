"""`python -m services.scheduler`: builds a scheduler from its configuration and runs it."""

import sys

from logbook.following import Follower
from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection
from plumbing.process import Stop
from services.scheduler.config import SchedulerConfig
from services.scheduler.loop import keep_time
from services.scheduler.timetable import Timetable


def main() -> int:
    telemetry.configure("scheduler")
    settings = config.load(SchedulerConfig)
    stop = Stop()
    stop.install()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    follower = Follower(connection, range(settings.partitions), log_id=settings.log_id)
    producer = connection.producer()
    timetable = Timetable(settings.log_id, settings.resend_after)
    keep_time(follower, producer, timetable, SystemClock(), stop)
    producer.close()
    follower.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

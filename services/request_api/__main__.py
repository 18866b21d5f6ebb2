"""`python -m services.request_api`: builds the API from its configuration and runs it."""

import os
import sys

from logbook.following import Follower, Following
from logbook.reporting import Reporter
from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.directory import PostgresDirectory
from plumbing.kafka import KafkaConnection
from plumbing.objects import S3Location, S3Objects
from plumbing.process import Stop, run_threads
from plumbing.tenants import read_tenants
from plumbing.vault import HttpVault
from plumbing.web import serve
from projections.queries import open_queries
from services.request_api.answers import AnswerBook
from services.request_api.building import build, watch
from services.request_api.config import RequestApiConfig, StoreConfig
from services.request_api.filing import Filing
from services.request_api.intake import Intake


def main() -> int:
    telemetry.configure("request_api")
    settings, store = config.load(RequestApiConfig), config.load(StoreConfig)
    stop = Stop()
    stop.install()
    clock = SystemClock()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    tenants = read_tenants(settings.tenants, os.environ)
    directory = PostgresDirectory({name: t.identity for name, t in tenants.items()})
    book = AnswerBook()
    follower = Follower(connection, range(settings.partitions), log_id=settings.log_id)
    following = Following(follower, book.apply)
    following.start()
    producer = connection.producer()
    filing = Filing(
        producer=producer,
        vault=HttpVault(settings.keyring_url, settings.keyring_token),
        following=following,
        book=book,
        queries=open_queries(settings.postgres.reveal()),
        clock=clock,
        command_key=settings.command_key.reveal().encode(),
        answer_within=settings.answer_within,
    )
    intake = Intake(
        group=connection.group("request_api", settings.instance),
        producer=producer,
        reporter=Reporter(worker="request_api", clock=clock, entropy=os.urandom),
        filing=filing,
        directory=directory,
        tenants=tenants,
        clock=clock,
    )
    location = S3Location(
        endpoint=store.url, bucket=store.bucket, access_key=store.key, secret_key=store.secret
    )
    app = build(settings, S3Objects(location), filing, directory, tenants, stop)
    code = run_threads(
        stop,
        {
            "web": lambda: serve(app, settings.host, settings.port, stop),
            "intake": lambda: intake.run(stop),
            "following": lambda: watch(following, stop),
        },
    )
    following.stop()
    producer.close()
    return code


if __name__ == "__main__":
    sys.exit(main())

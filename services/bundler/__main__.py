"""`python -m services.bundler`: builds a bundler from its configuration and runs it."""

import os
import sys

from logbook.desk import Desk
from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection
from plumbing.objects import S3Objects
from plumbing.process import Stop
from plumbing.vault import HttpVault
from proofs.keys import SigningKey
from rights.orders import RemoveBundle, SealBundle
from services.bundler.config import BundlerConfig, StoreConfig
from services.bundler.extents import Readers
from services.bundler.loop import Bundler
from services.bundler.sealing import Workshop


def main() -> int:
    telemetry.configure("bundler")
    settings = config.load(BundlerConfig)
    stop = Stop()
    stop.install()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    producer = connection.producer()
    reporter = Reporter(worker="bundler", clock=SystemClock(), entropy=os.urandom)
    book = OrderBook(lambda order: isinstance(order, SealBundle | RemoveBundle))
    follower = Follower(connection, range(settings.partitions), log_id=settings.log_id)
    following = Following(follower, book.apply)
    following.start()
    group = connection.group("bundler", settings.instance)
    desk = Desk(group, producer, following, book, reporter)
    readers = Readers(connection.reader)
    settings.spool.mkdir(parents=True, exist_ok=True)
    shop = Workshop(
        desk=desk,
        producer=producer,
        reporter=reporter,
        readers=readers,
        vault=HttpVault(settings.keyring_url, settings.keyring_token),
        store=S3Objects(config.load(StoreConfig).location),
        signer=SigningKey.load(settings.signing_key.read_bytes()),
        spool=settings.spool,
        spool_bytes_max=settings.spool_bytes_max,
        sources=settings.sources,
        entropy=os.urandom,
        pause=stop.wait,
    )
    Bundler(shop, following, book).run()
    desk.close()
    readers.close()
    following.stop()
    producer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

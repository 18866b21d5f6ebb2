"""`python -m services.eraser`: builds an eraser from its configuration and runs it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from logbook.desk import Desk
from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from plumbing import config, telemetry
from plumbing.clock import SystemClock
from plumbing.config import ConfigError
from plumbing.directory import PostgresDirectory
from plumbing.kafka import KafkaConnection
from plumbing.process import Stop
from plumbing.tenants import read_tenants
from plumbing.vault import HttpVault
from rights.orders import PlanSections, ProbeSections, TreatSections
from schemas.topics import erase_orders
from services.eraser.config import EraserConfig
from services.eraser.erasing import Eraser
from services.eraser.loop import EraserLoop
from sources.contract import Source
from sources.registry import declarations, load


def main() -> int:
    telemetry.configure("eraser")
    settings = config.load(EraserConfig)
    stop = Stop()
    stop.install()
    clock = SystemClock()
    connection = KafkaConnection(bootstrap=settings.kafka, client_id=settings.principal)
    producer = connection.producer()
    reporter = Reporter(worker="eraser", clock=clock, entropy=os.urandom)
    book = OrderBook(lambda o: isinstance(o, PlanSections | TreatSections | ProbeSections))
    follower = Follower(connection, range(settings.partitions), log_id=settings.log_id)
    following = Following(follower, book.apply)
    following.start()
    tenants = read_tenants(settings.tenants, os.environ)
    eraser = Eraser(
        desk=Desk(
            connection.group("eraser", settings.instance), producer, following, book, reporter
        ),
        following=following,
        book=book,
        producer=producer,
        reporter=reporter,
        vault=HttpVault(settings.keyring_url, settings.keyring_token),
        directory=PostgresDirectory({name: t.identity for name, t in tenants.items()}),
        sources=hosted_sources(settings, os.environ),
        clock=clock,
    )
    EraserLoop(eraser).run([erase_orders(source) for source in settings.sources], stop)
    eraser.desk.close()
    following.stop()
    producer.close()
    return 0


def hosted_sources(settings: EraserConfig, environment: Mapping[str, str]) -> dict[str, Source]:
    """The sources whose orders we take, so that one without a declaration is noticed at the start.

    Raises:
        ConfigError: one of them has none.
    """
    declared = {d.source: Path(d.origin.file) for d in declarations([settings.declarations])}
    if missing := set(settings.sources) - declared.keys():
        raise ConfigError(f"no declaration of: {', '.join(sorted(missing))}")
    return dict(load([declared[name] for name in settings.sources], environment))


if __name__ == "__main__":
    sys.exit(main())

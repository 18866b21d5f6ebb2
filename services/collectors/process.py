"""The process: its collaborators, built by hand, and the loop that runs until it is stopped."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from plumbing import telemetry
from plumbing.clock import SystemClock
from plumbing.kafka import KafkaConnection
from plumbing.process import Stop
from plumbing.vault import HttpVault
from rights.orders import CollectSections
from services.collectors.app import FaustPublisher, application, attend
from services.collectors.collecting import Collector, Surroundings
from services.collectors.config import CollectorsConfig
from services.collectors.transport import Application
from sources.contract import DeclarationError
from sources.postgres import PostgresSource
from sources.registry import declarations, load

LOOK_S: Final = 0.5
STOPPING_S: Final = 5.0
log = telemetry.get("collectors")


async def run(config: CollectorsConfig, environment: Mapping[str, str], stop: Stop) -> int:
    """Build, run until asked to stop or until something dies, and end; the exit code."""
    with ExitStack() as ending:
        clock = SystemClock()
        book = OrderBook(lambda o: isinstance(o, CollectSections) and o.source in config.sources)
        connection = KafkaConnection(bootstrap=config.kafka, client_id=config.principal)
        follower = Follower(connection, range(config.partitions), log_id=config.log_id)
        following = Following(follower, book.apply)
        ending.callback(following.stop)
        await asyncio.to_thread(following.start)
        app = application(config)
        # A thread for each run, and some for short questions in between.
        threads = ThreadPoolExecutor(config.orders_max + 4, thread_name_prefix="collector")
        ending.callback(threads.shutdown, wait=False, cancel_futures=True)
        around = Surroundings(
            sources=hosted_sources(config.sources, config.declaration_paths, environment),
            vault=ending.enter_context(HttpVault(config.keyring_url, config.keyring_token)),
            following=following,
            book=book,
            reporter=Reporter(worker="collectors", clock=clock, entropy=os.urandom),
            publisher=FaustPublisher(app),
            clock=clock,
            threads=threads,
            entropy=os.urandom,
        )
        collector = Collector(around, config.orders_max)
        attend(app, config.sources, collector)
        return await live(app, collector, following, stop)


async def live(app: Application, collector: Collector, following: Following, stop: Stop) -> int:
    """Start the application and keep it until asked to stop; 1 if something died before that."""
    await app.start()
    log.info("ready")
    code = 0
    while not await asyncio.to_thread(stop.wait, LOOK_S):
        following.check()
        if collector.failure is not None or app.should_stop:
            log.error("process_dies", error=collector.failure)
            code = 1
            break
    await collector.stop()
    try:
        await asyncio.wait_for(app.stop(), STOPPING_S)
    except TimeoutError:
        # Faust wants to tell the broker first. Nothing is lost if it cannot: what was not
        # acknowledged comes again.
        log.warning("broker_not_told")
    return code


def hosted_sources(
    names: Iterable[str], paths: Iterable[Path], environment: Mapping[str, str]
) -> dict[str, PostgresSource]:
    """The sources that this process hosts; of no other source's database it need know anything.

    Raises:
        DeclarationError: a declaration is wrong, or one of the sources has none.
    """
    declared = {d.source: Path(d.origin.file) for d in declarations(paths)}
    missing = sorted(set(names) - declared.keys())
    if missing:
        raise DeclarationError(
            "SOURCE_NOT_DECLARED",
            f"No declaration is found for: {', '.join(missing)}.",
            "Set COLLECTORS_DECLARATIONS to a file or folder that holds it.",
        )
    return load([declared[name] for name in names], environment)

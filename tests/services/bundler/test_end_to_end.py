"""From a filed export to its archive on real parts: Kafka, Faust, PostgreSQL, S3, the decider.

Only the keyring is in memory: everybody in this process shares one.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devstack.products import loading
from devstack.stack import Endpoints, Stack, StackSettings
from logbook.desk import Desk
from logbook.following import Follower, Following
from logbook.orderbook import OrderBook
from logbook.reporting import Reporter
from logbook.sealing import archive_context
from plumbing.clock import SystemClock
from plumbing.config import Secret, load
from plumbing.kafka import KafkaConnection
from plumbing.objects import S3Location, S3Objects
from plumbing.process import Stop
from plumbing.vault import Field, Identity, MemoryKeyring, Permit
from proofs import envelope
from rights.commands import Actor, PublishPolicy, SubmitExport
from rights.export.state import Export
from rights.orders import CollectSections, RemoveBundle, SealBundle
from rights.policies import PROFILES, Role
from services.bundler.extents import Readers
from services.bundler.loop import Bundler
from services.bundler.sealing import Workshop
from services.collectors.app import FaustPublisher, application, attend
from services.collectors.collecting import Collector, Surroundings
from services.collectors.config import CollectorsConfig
from services.collectors.process import hosted_sources, live
from services.keyring.entitlements import permit_for_order
from tests.services.bundler.stage import SIGNER, members
from tests.support.asking import ADMIN, LOG_ID, PARTITIONS, SOURCES, TENANT, asking, make_topics
from tests.support.deciders import deciding
from tests.support.waiting import until

POLICY = replace(PROFILES["member-portal"], sources=SOURCES)
ADA = loading.people()[0]
PATIENCE_S = 60.0


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[str]:
    """A broker of this test's own: the topics of an installation have fixed names."""
    configured = load(StackSettings)
    with Stack(state=tmp_path / "stack", cache=configured.jar_cache(print)) as stack:
        yield stack.start("kafka").kafka_bootstrap


@dataclass
class Installation:
    bootstrap: str
    store: S3Objects
    spool: Path
    dsns: dict[str, str]

    def __post_init__(self) -> None:
        self.connection = KafkaConnection(bootstrap=self.bootstrap, client_id="test")
        make_topics(self.connection)
        self.book = OrderBook()
        self.keyring = MemoryKeyring(permit_of=self._permit)

    def _permit(self, order_id: str) -> Permit | None:
        # As the keyring does, wait for the log to say so: the worker may have read it before us.
        self.following.wait_until(lambda: self.book.find(order_id) is not None, 2)
        pending = self.book.find(order_id)
        return permit_for_order(pending.order) if pending else None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Two collectors processes and a bundler, each on a thread."""
        with ExitStack() as ending:
            self.following = self._follow(self.book, ending)
            for source in SOURCES:
                ending.enter_context(self._thread(partial(self._collect, source)))
            ending.enter_context(self._thread(self._bundle))
            yield

    @contextmanager
    def _thread(self, work: Callable[[Stop], Any]) -> Iterator[None]:
        stop, codes = Stop(), []
        thread = threading.Thread(target=lambda: codes.append(work(stop)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE_S)
            assert codes == [0]

    def _follow(self, book: OrderBook, ending: ExitStack) -> Following:
        follower = Follower(self.connection, range(PARTITIONS), log_id=LOG_ID)
        following = Following(follower, book.apply)
        ending.callback(following.stop)
        following.start()
        return following

    def _collect(self, source: str, stop: Stop) -> int:
        with ExitStack() as ending:
            book = OrderBook(lambda o: isinstance(o, CollectSections) and o.source == source)
            following = self._follow(book, ending)
            threads = ending.enter_context(ThreadPoolExecutor(8))
            config = CollectorsConfig(
                kafka=self.bootstrap,
                log_id=LOG_ID,
                partitions=PARTITIONS,
                sources=(source,),
                declarations=tuple(map(str, loading.DECLARATIONS)),
                keyring_url="",
                keyring_token=Secret("none"),
            )
            environment = loading.environment(self.dsns.__getitem__)
            sources = hosted_sources([source], config.declaration_paths, environment)
            ending.callback(sources[source].close)

            async def work() -> int:
                app = application(config)
                around = Surroundings(
                    sources=sources,
                    vault=self.keyring.client("collectors"),
                    following=following,
                    book=book,
                    reporter=self._reporter("collectors"),
                    publisher=FaustPublisher(app),
                    clock=SystemClock(),
                    threads=threads,
                    entropy=os.urandom,
                )
                collector = Collector(around, config.orders_max)
                attend(app, [source], collector)
                return await live(app, collector, following, stop)

            return asyncio.run(work())

    def _bundle(self, stop: Stop) -> int:
        with ExitStack() as ending:
            book = OrderBook(lambda o: isinstance(o, SealBundle | RemoveBundle))
            following = self._follow(book, ending)
            producer, readers = self.connection.producer(), Readers(self.connection.reader)
            group = self.connection.group("bundler", "bundler-1")
            reporter = self._reporter("bundler")
            desk = Desk(group, producer, following, book, reporter)
            for part in (desk, producer, readers):
                ending.callback(part.close)
            shop = Workshop(
                desk=desk,
                producer=producer,
                reporter=reporter,
                readers=readers,
                vault=self.keyring.client("bundler"),
                store=self.store,
                signer=SIGNER,
                spool=self.spool,
                spool_bytes_max=1 << 30,
                sources=SOURCES,
                entropy=os.urandom,
                pause=stop.wait,
            )
            Bundler(shop, following, book).run()
        return 0

    def _reporter(self, worker: str) -> Reporter:
        return Reporter(worker=worker, clock=SystemClock(), entropy=os.urandom)

    def file_export(self, ask: Callable[..., Any]) -> tuple[str, str]:
        """Ada asks for her data, until the policy is in force everywhere."""
        person = {
            "tenant": ADA.tenant,
            "stable_id": ADA.stable_id,
            "name": ADA.name,
            "email": ADA.email,
            "handles": dict(ADA.handles),
        }
        put = self.keyring.client("request_api").put(
            Identity(ADA.tenant, ADA.stable_id), {"handles": Field("work", person)}, "put-1"
        )
        ref = put.subject_ref
        actor = Actor(role=Role.SUBJECT, ref=ref)
        body = SubmitExport(handles_vault_id=put.vault_ids["handles"], language="fr")
        answers: list[Any] = []

        def is_accepted() -> bool:
            answers.append(ask(body, actor, ref).decision)
            return not answers[-1].code

        until(is_accepted, PATIENCE_S)
        return ref, answers[-1].command.id

    def archive(self, ref: str, request_id: str) -> bytes:
        request = self.book.request(ref, request_id)
        assert isinstance(request, Export)
        assert request.object_key is not None
        context = archive_context(
            tenant_ref=TENANT,
            subject_ref=ref,
            request_id=request_id,
            order_id=request.object_key.rpartition("/")[2],
        )
        sealed = b"".join(self.store.read(request.object_key))
        key = self.keyring.keys[request_id, "archive"][1]
        return envelope.open_sealed(key.key, sealed, context)


@pytest.mark.timeout(180)
def test_a_filed_export_ends_as_an_archive_of_what_the_databases_hold(
    own_kafka: str,
    s3_endpoint: Endpoints,
    new_database: Callable[[], str],
    tmp_path: Path,
) -> None:
    dsns = {name: new_database() for name in loading.databases()}
    loading.load(dsns.__getitem__)
    location = S3Location(
        endpoint=s3_endpoint.s3_url,
        bucket=s3_endpoint.s3_bucket,
        access_key=s3_endpoint.s3_key,
        secret_key=Secret(s3_endpoint.s3_secret),
    )
    installation = Installation(own_kafka, S3Objects(location), tmp_path, dsns)

    with (
        deciding(installation.connection),
        asking(installation.connection) as asker,
        installation.running(),
    ):
        asker.ask(PublishPolicy(policy=POLICY), ADMIN)
        ref, request_id = installation.file_export(asker.ask)

        def is_sealed() -> bool:
            request = installation.book.request(ref, request_id)
            return isinstance(request, Export) and request.object_key is not None

        installation.following.wait_until(is_sealed, PATIENCE_S)
        found = members(installation.archive(ref, request_id))

    manifest = json.loads(found["manifest.json"])
    counts = {s["name"]: s["records"] for s in manifest["sections"]}
    assert counts["journal_entries"] == len(json.loads(found["journal/journal_entries.json"])) > 0
    assert found["journal/journal_uploads/files/0001.png"].startswith(b"\x89PNG")
    assert "Entrées du journal" in {s["title"] for s in manifest["sections"]}
    assert all(s["watermark"] for s in manifest["sections"])
    assert json.loads(found["billing/invoices.json"])
    installation.connection.admin().close()

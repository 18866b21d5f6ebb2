"""Erasures in the demo's real product databases: what is deleted, what is kept, after any crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import psycopg
import pytest

from devstack.products import loading
from plumbing import failpoints
from plumbing.config import ConfigError, Secret
from plumbing.directory import Person
from plumbing.failpoints import FailpointError
from rights import events as ev
from services.eraser.__main__ import hosted_sources
from services.eraser.config import EraserConfig
from services.eraser.loop import EraserLoop
from sources.postgres import PostgresSource
from sources.registry import load
from tests.services.eraser.stage import EraserStage
from tests.services.request_api.installation import ACME, ADMIN

ENTRIES = """INSERT INTO journal_entry (tenant, user_id, written_at, body)
    SELECT %s, %s, timestamptz '2026-01-01 08:00:00+00' + n * interval '1 minute', 'entry ' || n
    FROM generate_series(1, %s) n"""
INVOICE = """INSERT INTO invoice (tenant, customer_id, number, issued_on, billed_to, amount,
    currency, memo, ledger_batch) VALUES (%s, %s, %s, '2026-03-31', 'Ines', 40, 'EUR', 'late', 1)"""


class Products:
    """The product teams' own way into their databases."""

    def __init__(self, dsns: Mapping[str, str]) -> None:
        self.dsns = dsns

    def write(self, person: Person, *, entries: int = 7, tenant: str = ACME) -> None:
        """What a person leaves behind by living."""
        user_id, customer_id = person.handles["user_id"], person.handles["customer_id"]
        with psycopg.connect(self.dsns["journal"]) as journal:
            journal.execute(ENTRIES, [tenant, user_id, entries])
            journal.execute("ANALYZE journal_entry")
        with psycopg.connect(self.dsns["billing"]) as billing:
            billing.execute(INVOICE, [tenant, customer_id, f"{tenant}-{customer_id}"])

    def entries(self, person: Person, tenant: str = ACME) -> int:
        query = "SELECT count(*) FROM journal_entry WHERE (tenant, user_id) = (%s, %s)"
        with psycopg.connect(self.dsns["journal"]) as journal:
            row = journal.execute(query, [tenant, person.handles["user_id"]]).fetchone()
        assert row is not None
        return int(row[0])

    def memos(self, person: Person) -> list[str | None]:
        query = "SELECT memo FROM invoice WHERE (tenant, customer_id) = (%s, %s)"
        with psycopg.connect(self.dsns["billing"]) as billing:
            return [
                memo for (memo,) in billing.execute(query, [ACME, person.handles["customer_id"]])
            ]


@pytest.fixture(scope="module")
def products(new_database: Callable[[], str]) -> Products:
    dsns = {name: new_database() for name in loading.databases()}
    loading.load(dsns.__getitem__)
    return Products(dsns)


@pytest.fixture(scope="module")
def sources(products: Products) -> Iterator[dict[str, PostgresSource]]:
    made = load(loading.DECLARATIONS, loading.environment(products.dsns.__getitem__))
    yield made
    for source in made.values():
        source.close()


@pytest.fixture
def stage(sources: dict[str, PostgresSource]) -> Iterator[EraserStage]:
    stage = EraserStage(sources)
    with stage.installation:
        stage.installation.publish_policy()
        yield stage
        failpoints.disarm()
        stage.close()


def somebody(stage: EraserStage, products: Products, test: str, *, entries: int = 7) -> Person:
    """The databases are shared, so each test has people of its own."""
    person = stage.installation.person(user_id=f"u-{test}", customer_id=f"c-{test}")
    products.write(person, entries=entries)
    return person


@pytest.mark.requirement("E3-31")
def test_the_journal_is_deleted_the_invoices_are_kept_and_the_probe_agrees(
    stage: EraserStage, products: Products
) -> None:
    ines = somebody(stage, products, "ines")
    namesake, neighbour = (
        somebody(stage, products, "namesake"),
        somebody(stage, products, "neighbour"),
    )
    products.write(ines, entries=2, tenant="northwind-care")
    assert namesake.handles != ines.handles

    _, request_id = stage.erase(stage.hire(), ines)

    assert (products.entries(ines), products.memos(ines)) == (0, [None])
    assert (products.entries(neighbour), products.memos(neighbour)) == (7, ["late"])
    assert products.entries(ines, "northwind-care") == 2
    treated = [
        result
        for entry in stage.installation.entries
        for event in entry.events
        if isinstance(event, ev.SectionsTreated) and event.request_id == request_id
        for result in event.results
    ]
    counts = {r.section: (r.deleted_bucket, r.retained_bucket) for r in treated}
    assert counts["journal_entries"] == (8, 0)
    assert counts["invoices"] == (0, 1)
    probed = [
        (event.source, {r.section: (r.left_bucket, r.retained_bucket) for r in event.results})
        for entry in stage.installation.entries
        for event in entry.events
        if isinstance(event, ev.SectionsProbed)
    ]
    assert dict(probed)["journal"]["journal_entries"] == (0, 0)
    assert dict(probed)["billing"]["invoices"] == (0, 1)


@pytest.mark.parametrize(
    "crash",
    [
        "eraser.order_read:1",
        "eraser.order_read:5",
        "eraser.intent:1",
        "eraser.intent:2",
        "eraser.called:1",
        "eraser.called:2",
        "eraser.reported:1",
        "eraser.reported:4",
        "eraser.reported:6",
        "eraser.reported:8",
    ],
)
def test_an_eraser_that_dies_anywhere_is_followed_by_one_that_ends_right(
    stage: EraserStage, products: Products, crash: str
) -> None:
    ines = somebody(stage, products, crash)
    failpoints.arm(f"{crash}:err")
    died: list[str] = []

    def turns(loop: EraserLoop, holds: Callable[[], object]) -> EraserLoop:
        """As many erasers as it takes."""
        while True:
            try:
                stage.turns(loop, holds)
            except FailpointError as death:
                died.append(str(death))
                loop = stage.hire()
            else:
                return loop

    running = stage.installation
    ref, request_id = running.file_erasure(ines, by=ADMIN)
    loop = turns(stage.hire(), lambda: running.request(ref, request_id).plan_hash)
    stage.confirm(ref, request_id)
    turns(loop, lambda: stage.has_ended(ref, request_id))

    assert len(died) == 1
    assert running.request(ref, request_id).phase == "DESTROY_KEYS"
    assert (products.entries(ines), products.memos(ines)) == (0, [None])
    events = running.events(request_id)
    for step in ("StepStarted", "SectionsTreated", "SectionsProbed"):
        assert events.count(step) == 2
    assert events.count("PointOfNoReturnPassed") == 1
    journal = next(
        event
        for entry in running.entries
        for event in entry.events
        if isinstance(event, ev.SectionsTreated) and event.source == "journal"
    )
    # Whatever was done before the crash is in the totals all the same.
    assert {r.section: r.deleted_bucket for r in journal.results}["journal_entries"] == 8


def test_a_treatment_of_many_batches_goes_on_where_it_was_cut_off(
    stage: EraserStage, products: Products
) -> None:
    ines = somebody(stage, products, "many", entries=4500)
    loop = stage.hire()
    ref, request_id = stage.planned(loop, ines)
    stage.confirm(ref, request_id)
    # Whether billing's one batch comes before or after: in the middle of the journal's three.
    failpoints.arm("eraser.called:2:err")

    with pytest.raises(FailpointError):
        stage.turns(loop, lambda: False)
    left_by_the_first = products.entries(ines)
    stage.turns(stage.hire(), lambda: stage.has_ended(ref, request_id))

    assert 0 < left_by_the_first < 4500
    assert products.entries(ines) == 0
    journal = next(
        event
        for entry in stage.installation.entries
        for event in entry.events
        if isinstance(event, ev.SectionsTreated) and event.source == "journal"
    )
    assert {r.section: r.deleted_bucket for r in journal.results}["journal_entries"] == 8192


def test_an_eraser_of_a_source_that_nobody_declared_does_not_start(products: Products) -> None:
    settings = EraserConfig(
        kafka="",
        log_id="",
        partitions=3,
        sources=("journal", "loyalty"),
        declarations=loading.DECLARATIONS[0].parent,
        tenants=loading.DECLARATIONS[0],
        keyring_url="",
        keyring_token=Secret(""),
    )
    environment = loading.environment(products.dsns.__getitem__)

    with pytest.raises(ConfigError, match="no declaration of: loyalty"):
        hosted_sources(settings, environment)
    # Of the other sources' databases it need know nothing.
    del environment["BILLING_DSN"]
    assert list(hosted_sources(replace(settings, sources=("journal",)), environment)) == ["journal"]

"""The demo's products: made once, declared in a page, and treated as their teams said."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import psycopg
import pytest
import yaml

from devstack.products import loading
from devstack.products.photos import sunrise
from sources.contract import Step
from sources.postgres import PostgresSource
from sources.registry import load

STEP = Step(request_id="request-1", step_id="step-1", fence=1)
ADA, BRUNO = loading.people()[:2]
EDDA = next(person for person in loading.people() if person.name == "Edda Frost")


@pytest.fixture
def dsns(new_database: Callable[[], str]) -> dict[str, str]:
    made = {name: new_database() for name in loading.databases()}
    loading.load(made.__getitem__)
    return made


@pytest.fixture
def products(dsns: dict[str, str]) -> Iterator[dict[str, PostgresSource]]:
    sources = load(loading.DECLARATIONS, loading.environment(dsns.__getitem__))
    yield sources
    for source in sources.values():
        source.close()


def test_the_demo_is_whole_and_decides_every_column(
    products: dict[str, PostgresSource],
) -> None:
    assert sorted(products) == ["billing", "journal"]
    for source in products.values():
        assert source.check() == ()


def test_a_declaration_fits_on_a_page() -> None:
    for file in loading.DECLARATIONS:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 32


def test_ada_gets_her_journal_her_photo_and_her_invoices(
    products: dict[str, PostgresSource],
) -> None:
    journal, billing = products["journal"], products["billing"]

    counts = {
        s.name: source.export(ADA.handles, s.name).count
        for source in (journal, billing)
        for s in source.describe().sections
    }
    (photo,) = journal.files(ADA.handles, "journal_uploads").files

    assert counts == {
        "journal_entries": 8,
        "journal_analyses": 8,
        "journal_uploads": 1,
        "invoices": 3,
        "payments": 3,
        "payouts": 0,
    }
    assert (photo.name, photo.media_type) == ("sunrise.png", "image/png")
    assert b"".join(journal.open_file(ADA.handles, "journal_uploads", photo.ref)).startswith(
        b"\x89PNG"
    )


@pytest.mark.requirement("E3-31")
def test_erasing_ada_deletes_the_journal_and_keeps_the_invoices_for_tax_law(
    products: dict[str, PostgresSource],
) -> None:
    for source in products.values():
        assert not source.treat(ADA.handles, STEP).more

    assert products["journal"].locate(ADA.handles) is None
    kept = {
        p.section: (p.left, p.retained) for p in products["billing"].probe(ADA.handles).sections
    }
    assert kept == {"invoices": (0, 3), "payments": (0, 3), "payouts": (0, 0)}
    for item in products["billing"].plan(ADA.handles):
        assert (item.basis, item.keep_until is not None) == ("tax law", True)
        assert str(item.keep_until).startswith("7 years from ")
    invoices = b"".join(products["billing"].stream(ADA.handles, "invoices"))
    assert invoices.count(b'"memo":null') == 3


def test_two_people_with_one_number_in_two_tenants_are_two_people(
    products: dict[str, PostgresSource],
) -> None:
    journal = products["journal"]
    assert BRUNO.handles["user_id"] == EDDA.handles["user_id"]
    before = b"".join(journal.stream(EDDA.handles, "journal_entries"))

    journal.treat(BRUNO.handles, STEP)

    assert before.count(b"\n") == 1
    assert b"".join(journal.stream(EDDA.handles, "journal_entries")) == before


def test_loading_again_brings_nothing_back(
    products: dict[str, PostgresSource], dsns: dict[str, str]
) -> None:
    products["journal"].treat(ADA.handles, STEP)

    loading.load(dsns.__getitem__)

    assert products["journal"].locate(ADA.handles) is None
    assert products["journal"].locate(BRUNO.handles) is not None


def test_each_tenant_has_an_identity_database_of_its_own_people(dsns: dict[str, str]) -> None:
    found = {}
    for tenant in loading.tenants():
        with psycopg.connect(dsns[loading.identity_database(tenant)]) as connection:
            rows = connection.execute("SELECT name, handles ->> 'tenant' FROM person ORDER BY 1")
            found[tenant] = rows.fetchall()

    assert [name for name, _ in found["acme-wellbeing"]] == [
        "Ada Quill",
        "Bruno Vale",
        "Chidi Moss",
        "Dana Reed",
        "Priya Lund",
    ]
    assert {tenant for _, tenant in found["northwind-care"]} == {"northwind-care"}
    roles = {role for person in loading.people() for role in person.roles}
    assert roles == {"member", "coach", "admin", "privacy_officer"}


def test_the_people_file_is_one_that_the_issuer_reads() -> None:
    listed = yaml.safe_load(loading.PEOPLE.read_text(encoding="utf-8"))

    for person in listed["people"]:
        assert {"username", "password", "sub", "tenant", "roles"} <= person.keys()
    for service in listed["services"]:
        assert service.keys() == {"client_id", "secret", "tenant", "roles"}
    # Who signs in is told by the password where an address stands in two tenants.
    keys = [(person["username"], person["password"]) for person in listed["people"]]
    assert len(set(keys)) == len(keys)


def test_the_photo_is_a_real_picture() -> None:
    picture = sunrise(80)
    chunks, at = [], 8
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        kind, content = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", picture[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + content)
        chunks.append((kind, content))
        at += 12 + length

    kinds = [kind for kind, _ in chunks]
    width, height = struct.unpack(">II", chunks[0][1][:8])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(chunks[1][1])) == height * (1 + 3 * width)
    assert sunrise(81) != picture

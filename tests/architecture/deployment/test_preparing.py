"""What docker-compose.yml runs once before every start, on real parts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.containers.preparing import prepare
from devstack.containers.settings import PrepareSettings
from devstack.stack import Endpoints
from plumbing.config import Secret
from plumbing.kafka import KafkaConnection
from plumbing.postgres import connect
from schemas.topics import DECISIONS
from services.keyring.keyfiles import load_identity, load_kek

PARTITIONS = 3


@pytest.fixture
def settings(
    kafka_bootstrap: str, postgres_dsn: str, s3_endpoint: Endpoints, tmp_path: Path
) -> PrepareSettings:
    server, _, _ = postgres_dsn.rpartition("/")
    return PrepareSettings(
        kafka=kafka_bootstrap,
        partitions=PARTITIONS,
        postgres=Secret(f"{server}/DATABASE"),
        s3_url=s3_endpoint.s3_url,
        s3_bucket=s3_endpoint.s3_bucket,
        s3_key=s3_endpoint.s3_key,
        s3_secret=Secret(s3_endpoint.s3_secret),
        kek=tmp_path / "kek",
        identity=tmp_path / "identity.age",
        signing_key=tmp_path / "signing",
    )


@pytest.fixture
def entries(settings: PrepareSettings) -> Callable[[], int]:
    def count() -> int:
        with connect(settings.endpoints.postgres_dsn("journal")) as session:
            row = session.execute("SELECT count(*) FROM journal_entry").fetchone()
            assert row is not None
            return int(row[0])

    return count


def test_everything_is_there_afterwards_and_a_second_time_changes_nothing(
    settings: PrepareSettings, entries: Callable[[], int]
) -> None:
    prepare(settings)
    made = (load_kek(settings.kek), settings.signing_key.read_bytes(), entries())

    prepare(settings)

    assert made == (load_kek(settings.kek), settings.signing_key.read_bytes(), entries())
    assert load_identity(settings.identity)
    assert entries()
    admin = KafkaConnection(bootstrap=settings.kafka, client_id="test").admin()
    assert admin.describe(DECISIONS) == PARTITIONS
    admin.close()

"""What the processes beside the services must be told."""

from dataclasses import dataclass
from pathlib import Path

from devstack.stack import Endpoints
from plumbing.config import Secret, settings


@settings("PREPARE")
@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings:
    """`postgres` has the word DATABASE where a database's name goes; the others are files to be."""

    kafka: str
    partitions: int
    postgres: Secret
    s3_url: str
    s3_bucket: str
    s3_key: str
    s3_secret: Secret
    kek: Path
    identity: Path
    signing_key: Path

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(
            kafka_bootstrap=self.kafka,
            postgres_url=self.postgres.reveal(),
            s3_url=self.s3_url,
            s3_key=self.s3_key,
            s3_secret=self.s3_secret.reveal(),
            s3_bucket=self.s3_bucket,
        )


@settings("ISSUER")
@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """`url` is what tokens name as their issuer, and where the services find its keys."""

    url: str
    state: Path
    # In a container of its own, so that others reach it; what is published is bound by compose.
    host: str = "0.0.0.0"  # noqa: S104
    port: int = 8500

"""What a request API must be told."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from plumbing.config import Secret, settings


@settings("REQUEST_API")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestApiConfig:
    """`command_key` makes command ids and hashes; it must outlive every Idempotency-Key."""

    kafka: str
    log_id: str
    partitions: int
    sources: tuple[str, ...]
    tenants: Path
    postgres: Secret
    keyring_url: str
    keyring_token: Secret
    command_key: Secret
    issuer: str
    host: str = "127.0.0.1"
    port: int = 8080
    principal: str = "request_api"
    instance: str = "request-api-1"
    answer_within: timedelta = timedelta(seconds=10)


@settings("REQUEST_API_S3")
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where finished archives are, to stream them out."""

    url: str
    bucket: str
    key: str
    secret: Secret

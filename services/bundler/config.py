"""What a bundler must be told."""

from dataclasses import dataclass
from pathlib import Path

from plumbing.config import Secret, settings
from plumbing.objects import S3Location


@settings("BUNDLER")
@dataclass(frozen=True, slots=True, kw_only=True)
class BundlerConfig:
    """`sources` are those whose fragments it may read; none named means any.

    `signing_key` is a file with an Ed25519 key; `spool` a folder on a disk that has
    `spool_bytes_max` to spare, which is also how large an archive may become. `instance` keeps a
    member's partitions over a restart.
    """

    kafka: str
    log_id: str
    partitions: int
    keyring_url: str
    keyring_token: Secret
    signing_key: Path
    spool: Path
    sources: tuple[str, ...] = ()
    principal: str = "bundler"
    instance: str = "bundler-1"
    spool_bytes_max: int = 64 * 1024**3


@settings("BUNDLER_S3")
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where archives go."""

    url: str
    bucket: str
    key: str
    secret: Secret

    @property
    def location(self) -> S3Location:
        return S3Location(
            endpoint=self.url, bucket=self.bucket, access_key=self.key, secret_key=self.secret
        )

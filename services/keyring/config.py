"""What a keyring must be told."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from plumbing.config import Secret, settings
from services.keyring.tokens import parse


@settings("KEYRING")
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyringConfig:
    """`tokens` are the services' bearer tokens: "collectors:…,bundler:…".

    `kek` and `identity` are files that nobody else may read: the key-encryption key, and the age
    identity to which product services seal. `lease_s` is how long callers may keep what they opened
    and therefore how long a destruction waits.
    """

    kafka: str
    log_id: str
    partitions: int
    postgres: Secret
    kek: Path
    identity: Path
    tokens: Secret
    host: str = "127.0.0.1"
    port: int = 8400
    lease_s: timedelta = timedelta(seconds=60)
    principal: str = "keyring"
    instance: str = "keyring-1"

    def __post_init__(self) -> None:
        if self.lease_s <= timedelta(0):
            raise ValueError("a lease is longer than nothing")
        parse(self.tokens.reveal())

"""What an eraser must be told."""

from dataclasses import dataclass
from pathlib import Path

from plumbing.config import Secret, settings


@settings("ERASER")
@dataclass(frozen=True, slots=True, kw_only=True)
class EraserConfig:
    """`declarations` is a folder of source declarations; `tenants` the tenants' file."""

    kafka: str
    log_id: str
    partitions: int
    sources: tuple[str, ...]
    declarations: Path
    tenants: Path
    keyring_url: str
    keyring_token: Secret
    principal: str = "eraser"
    instance: str = "eraser-1"

"""What a decider must be told."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from plumbing.config import settings


@settings("DECIDER")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeciderConfig:
    """`instance` keeps a member's partitions over a restart; `cluster` names the installation."""

    kafka: str
    log_id: str
    partitions: int
    sources: tuple[str, ...]
    principal: str = "decider"
    instance: str = "decider-1"
    cluster: str = "habeas"
    batch_max: int = 200
    snapshots: Path | None = None
    resend_after: timedelta = timedelta(seconds=60)

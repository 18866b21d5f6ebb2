"""What a scheduler must be told."""

from dataclasses import dataclass
from datetime import timedelta

from plumbing.config import settings


@settings("SCHEDULER")
@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    kafka: str
    log_id: str
    partitions: int
    principal: str = "scheduler"
    resend_after: timedelta = timedelta(seconds=5)

"""What the projector must be told."""

from dataclasses import dataclass

from plumbing.config import Secret, settings


@settings("PROJECTIONS")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionsConfig:
    """`postgres` is the DSN of a database that holds nothing but the views."""

    kafka: str
    log_id: str
    partitions: int
    postgres: Secret
    principal: str = "projections"

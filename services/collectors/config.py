"""What a collectors process must be told."""

from dataclasses import dataclass
from pathlib import Path

from plumbing.config import Secret, settings


@settings("COLLECTORS")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorsConfig:
    """`sources` are those this process hosts; `declarations` are files, or folders of them.

    With an `instance` a killed process that is started again has its partitions at once, and not
    only when its session ran out; but each process of the same sources then needs one of its own:
    aiokafka does not notice that another took its name. `orders_max` is how many orders run at once.
    """

    kafka: str
    log_id: str
    partitions: int
    sources: tuple[str, ...]
    declarations: tuple[str, ...]
    keyring_url: str
    keyring_token: Secret
    principal: str = "collectors"
    instance: str | None = None
    orders_max: int = 4

    @property
    def declaration_paths(self) -> tuple[Path, ...]:
        return tuple(Path(path) for path in self.declarations)

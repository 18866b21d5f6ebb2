"""What a collectors process must be told."""

from dataclasses import dataclass
from pathlib import Path

from plumbing.config import Secret, settings


@settings("COLLECTORS")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorsConfig:
    """`sources` are those this process hosts; `declarations` are files, or folders of them.

    `instance` keeps a member's partitions over a restart; two processes of the same sources need
    two. `orders_max` is how many orders run at once.
    """

    kafka: str
    log_id: str
    partitions: int
    sources: tuple[str, ...]
    declarations: tuple[str, ...]
    keyring_url: str
    keyring_token: Secret
    principal: str = "collectors"
    instance: str = "collectors-1"
    orders_max: int = 4

    @property
    def declaration_paths(self) -> tuple[Path, ...]:
        return tuple(Path(path) for path in self.declarations)

"""How older messages are read today: pure functions from a decoded dict to a decoded dict.

Defaults of new fields are Avro's own business; here stands only what a default cannot say.
"""

from collections.abc import Callable
from typing import Any, Final

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

# By message name and the fingerprint of the schema that wrote it.
UPCASTERS: Final[dict[tuple[str, bytes], Upcaster]] = {}


def upcast(name: str, fingerprint: bytes, value: dict[str, Any]) -> dict[str, Any]:
    upcaster = UPCASTERS.get((name, fingerprint))
    return upcaster(value) if upcaster else value

"""Writes the schemas in force and freezes them: `python -m schemas.releasing`.

Run it after a message gained a field; the frozen copies are never changed, only joined by new ones.
"""

import json
from pathlib import Path

from schemas.catalogue import MESSAGES
from schemas.codec import FROZEN, fingerprint_of
from schemas.derivation import schema_of

IN_FORCE = FROZEN.parent / "avsc"


def written(cls: type) -> str:
    return json.dumps(schema_of(cls), indent=1, ensure_ascii=False) + "\n"


def frozen_path(cls: type) -> Path:
    return FROZEN / f"{cls.__name__}.{fingerprint_of(schema_of(cls)).hex()}.avsc"


def release() -> list[Path]:
    """Write every schema in force and freeze those not frozen yet; returns the new frozen ones."""
    added = []
    for name, cls in MESSAGES.items():
        (IN_FORCE / f"{name}.avsc").write_text(written(cls))
        path = frozen_path(cls)
        if not path.exists():
            path.write_text(written(cls))
            added.append(path)
    return added


if __name__ == "__main__":
    release()

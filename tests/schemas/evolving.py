"""Whether what one schema wrote can be read by another, and nothing is invented in between.

Avro's own rules decide (through fastavro), on generated values and on the shape of the two.
"""

import io
from typing import Any, Final

import fastavro
from fastavro.utils import generate_many

Schema = dict[str, Any]
_SAMPLES: Final = 3


class UnreadableError(AssertionError):
    """A change of a released message that old or new readers stumble over."""


def check_full(older: Schema, newer: Schema) -> None:
    """Both ways, as FULL_TRANSITIVE asks: old bytes by new readers, new bytes by old ones."""
    check_reads(writer=older, reader=newer)
    check_reads(writer=newer, reader=older)


def check_reads(*, writer: Schema, reader: Schema) -> None:
    _check_fields(writer, reader, writer["name"])
    written_by, read_by = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    for value in generate_many(written_by, _SAMPLES):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, written_by, value)
        out.seek(0)
        try:
            fastavro.schemaless_reader(out, written_by, read_by)
        except Exception as failure:  # fastavro raises whatever its reader stumbles over
            raise UnreadableError(f"{writer['name']}: {failure}") from failure


def _check_fields(writer: Any, reader: Any, where: str) -> None:
    """Generated arrays may be empty and hide what is wrong in their items, so look at the shapes."""
    for old, new in zip(_branches(writer), _branches(reader), strict=False):
        if not (isinstance(old, dict) and isinstance(new, dict)) or old["type"] != new["type"]:
            if _kind(old) != _kind(new):
                raise UnreadableError(f"{where}: {_kind(old)} became {_kind(new)}")
            continue
        for inner in ("items", "values"):
            if inner in old:
                _check_fields(old[inner], new[inner], where)
        written = {f["name"]: f["type"] for f in old.get("fields", ())}
        for field in new.get("fields", ()):
            name = field["name"]
            if name in written:
                _check_fields(written[name], field["type"], f"{where}.{name}")
            elif "default" not in field:
                raise UnreadableError(f"{where}.{name} is needed by a reader and has no default")


def _branches(schema: Any) -> list[Any]:
    return schema if isinstance(schema, list) else [schema]


def _kind(schema: Any) -> Any:
    """A nested record may be written out in one place and named in another."""
    if isinstance(schema, dict):
        return f"{schema['namespace']}.{schema['name']}" if "name" in schema else schema["type"]
    return schema

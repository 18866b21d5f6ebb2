"""The Avro schema of a dataclass, and how its values look to Avro.

Decides nothing about which messages exist. Derivation keeps dataclass and schema from drifting:
the written `.avsc` files are the contract, and a test holds them against what is derived.

How types map: str, bool, bytes → the same; int → long; datetime → long, timestamp-micros;
timedelta → long, microseconds; StrEnum → string (an enum cannot gain symbols FULL_TRANSITIVEly);
`X | None` → [null, X]; tuple[X, ...] and frozenset[X] → array; Mapping[str, X] → map.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

NAMESPACE = "rights"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
Schema = Any
Convert = Callable[[Any], Any]


@cache
def field_types(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def schema_of(cls: type) -> dict[str, Schema]:
    """The Avro record schema of a dataclass; nested records are defined at their first use."""
    schema: dict[str, Schema] = _record(cls, set())
    return schema


def _record(cls: type, seen: set[str]) -> Any:
    if cls.__name__ in seen:
        return f"{NAMESPACE}.{cls.__name__}"
    seen.add(cls.__name__)
    hints = field_types(cls)
    fields = [_field(f, hints[f.name], seen) for f in dataclasses.fields(cls)]
    schema: dict[str, Any] = {"type": "record", "name": cls.__name__, "namespace": NAMESPACE}
    if cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("):
        schema["doc"] = cls.__doc__.strip().split("\n")[0]
    return schema | {"fields": fields}


def _field(field: "dataclasses.Field[Any]", hint: Any, seen: set[str]) -> dict[str, Any]:
    described: dict[str, Any] = {"name": field.name, "type": _type(hint, seen)}
    if field.default is not dataclasses.MISSING:
        described["default"] = to_avro(hint)(field.default)
    elif field.default_factory is not dataclasses.MISSING:
        described["default"] = to_avro(hint)(field.default_factory())
    if isinstance(described.get("default"), bytes):
        described["default"] = described["default"].decode("latin-1")
    return described


def _type(hint: Any, seen: set[str]) -> Schema:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return ["null", _type(_optional(args), seen)]
    if origin in (tuple, frozenset):
        return {"type": "array", "items": _type(args[0], seen)}
    if origin is Mapping or origin is dict:
        return {"type": "map", "values": _type(args[1], seen)}
    if dataclasses.is_dataclass(hint):
        return _record(hint, seen)  # type: ignore[arg-type] # a class, not an instance
    if issubclass(hint, StrEnum):
        return "string"
    if hint is datetime:
        return {"type": "long", "logicalType": "timestamp-micros"}
    return {str: "string", bool: "boolean", bytes: "bytes", int: "long", timedelta: "long"}[hint]


def _optional(args: tuple[Any, ...]) -> Any:
    inner = [a for a in args if a is not type(None)]
    assert len(inner) == 1, "only X | None is a wire type"
    return inner[0]


@cache
def to_avro(hint: Any) -> Convert:
    """A function from a value of the type to what the Avro writer takes."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = to_avro(_optional(args))
        return lambda value: None if value is None else inner(value)
    if origin is frozenset:
        item = to_avro(args[0])
        return lambda value: sorted(item(v) for v in value)
    if origin is tuple:
        item = to_avro(args[0])
        return lambda value: [item(v) for v in value]
    if origin is Mapping or origin is dict:
        entry = to_avro(args[1])
        return lambda value: {k: entry(v) for k, v in sorted(value.items())}
    if dataclasses.is_dataclass(hint):
        return _record_to_avro(hint)  # type: ignore[arg-type] # a class, not an instance
    if hint is datetime:
        return lambda value: (value - _EPOCH) // _MICRO
    if hint is timedelta:
        return lambda value: value // _MICRO
    if issubclass(hint, StrEnum):
        return str
    return lambda value: value


def _record_to_avro(cls: type) -> Convert:
    hints = field_types(cls)
    writers = [(f.name, to_avro(hints[f.name])) for f in dataclasses.fields(cls)]

    def convert(value: Any) -> dict[str, Any]:
        return {name: write(getattr(value, name)) for name, write in writers}

    return convert


@cache
def from_avro(hint: Any) -> Convert:
    """A function from what the Avro reader gives to a value of the type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = from_avro(_optional(args))
        return lambda value: None if value is None else inner(value)
    if origin in (tuple, frozenset):
        item, make = from_avro(args[0]), origin
        return lambda value: make(item(v) for v in value)
    if origin is Mapping or origin is dict:
        entry = from_avro(args[1])
        return lambda value: {k: entry(v) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return _record_from_avro(hint)  # type: ignore[arg-type] # a class, not an instance
    if hint is timedelta:
        return lambda value: timedelta(microseconds=value)
    if issubclass(hint, StrEnum):
        return hint  # type: ignore[no-any-return] # an enum class makes its members
    # The reader knows timestamp-micros itself and gives an aware datetime.
    return lambda value: value


def _record_from_avro(cls: type) -> Convert:
    hints = field_types(cls)
    readers = [(f.name, from_avro(hints[f.name])) for f in dataclasses.fields(cls)]

    def convert(value: Mapping[str, Any]) -> Any:
        return cls(**{name: read(value[name]) for name, read in readers})

    return convert

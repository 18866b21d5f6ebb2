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
from operator import attrgetter
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
        return _choice_to_avro(_optional(args))
    if origin is frozenset:
        item = to_avro(args[0])
        return lambda value: sorted(map(item, value))
    if origin is tuple:
        item = to_avro(args[0])
        return list if item is _same else lambda value: [item(v) for v in value]
    if origin is Mapping or origin is dict:
        entry = to_avro(args[1])
        return lambda value: {k: entry(v) for k, v in sorted(value.items())}
    if dataclasses.is_dataclass(hint):
        return _record_to_avro(hint)  # type: ignore[arg-type] # a class, not an instance
    if hint is datetime:
        return lambda value: (value - _EPOCH) // _MICRO
    if hint is timedelta:
        return lambda value: value // _MICRO
    return _same


def _same(value: Any) -> Any:
    return value


def _choice_to_avro(hint: Any) -> Convert:
    """Names the branch of [null, X], which the writer would find by trying each on the value."""
    schema, inner = _type(hint, set()), to_avro(hint)
    branch = schema["type"] if isinstance(schema, dict) else schema
    if branch == "record":
        branch = f"{NAMESPACE}.{hint.__name__}"
    return lambda value: None if value is None else (branch, inner(value))


def _record_to_avro(cls: type) -> Convert:
    names = [f.name for f in dataclasses.fields(cls)]
    if not names:
        return lambda _: {}
    hints = field_types(cls)
    writers = [(n, w) for n in names if (w := to_avro(hints[n])) is not _same]
    # With a single name it would not give a tuple.
    values = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    # The last value and what became of it: a policy goes into one event after the other.
    last: tuple[Any, dict[str, Any]] = (None, {})

    def convert(value: Any) -> dict[str, Any]:
        nonlocal last
        known, made = last
        if known is not value:
            made = dict(zip(names, values(value), strict=True))
            for name, write in writers:
                made[name] = write(made[name])
            last = (value, made)
        return made

    return convert


@cache
def from_avro(hint: Any) -> Convert:
    """A function from what the Avro reader gives to a value of the type; may use up what it gets."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = from_avro(_optional(args))
        return _same if inner is _same else lambda v: None if v is None else inner(v)
    if origin in (tuple, frozenset):
        item, make = from_avro(args[0]), origin
        return make if item is _same else lambda value: make(map(item, value))
    if origin is Mapping or origin is dict:
        entry = from_avro(args[1])
        return lambda value: {k: entry(v) for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return _record_from_avro(hint)  # type: ignore[arg-type] # a class, not an instance
    if hint is timedelta:
        return lambda value: timedelta(microseconds=value)
    if issubclass(hint, StrEnum):
        return {member.value: member for member in hint}.__getitem__
    # The reader knows timestamp-micros itself and gives an aware datetime.
    return _same


def _record_from_avro(cls: type) -> Convert:
    hints = field_types(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    readers = [(n, r) for n in names if (r := from_avro(hints[n])) is not _same]

    def convert(value: dict[str, Any]) -> Any:
        for name, read in readers:
            value[name] = read(value[name])
        return cls(**value)

    return convert

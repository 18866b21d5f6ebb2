"""How the types of messages look to Avro."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest

from schemas.codec import decode_exactly, encode
from schemas.derivation import schema_of


class Colour(StrEnum):
    RED = "RED"


@dataclass(frozen=True, kw_only=True)
class Point:
    x: int


@dataclass(frozen=True, kw_only=True)
class Everything:
    """One field of each kind.

    Only the first line is told to readers of the schema.
    """

    text: str
    octets: bytes = b"\xff"
    truth: bool = False
    at: datetime = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    span: timedelta = timedelta(milliseconds=1)
    colour: Colour = Colour.RED
    perhaps: Point | None = None
    again: Point = Point(x=3)
    points: tuple[Point, ...] = ()
    names: frozenset[str] = frozenset({"b", "a"})
    counts: Mapping[str, int] = field(default_factory=dict)
    runs: dict[str, Point] = field(default_factory=dict)


_POINT = {
    "type": "record",
    "name": "Point",
    "namespace": "rights",
    "fields": [{"name": "x", "type": "long"}],
}


def _fields() -> dict[str, Any]:
    return {f["name"]: f for f in schema_of(Everything)["fields"]}


def test_a_record_has_its_name_and_the_first_line_of_its_docstring() -> None:
    schema = schema_of(Everything)

    assert (schema["name"], schema["namespace"]) == ("Everything", "rights")
    assert schema["doc"] == "One field of each kind."
    assert "doc" not in schema_of(Point)


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("octets", "bytes", "\xff"),
        ("truth", "boolean", False),
        ("at", {"type": "long", "logicalType": "timestamp-micros"}, 1_000_000),
        ("span", "long", 1000),
        ("colour", "string", "RED"),
        ("perhaps", ["null", _POINT], None),
        # A record is written out once and named afterwards.
        ("again", "rights.Point", {"x": 3}),
        ("points", {"type": "array", "items": "rights.Point"}, []),
        ("names", {"type": "array", "items": "string"}, ["a", "b"]),
        ("counts", {"type": "map", "values": "long"}, {}),
        ("runs", {"type": "map", "values": "rights.Point"}, {}),
    ],
)
def test_a_field_has_its_type_and_its_default(name: str, kind: Any, default: Any) -> None:
    assert _fields()[name] == {"name": name, "type": kind, "default": default}


def test_a_field_without_default_has_none() -> None:
    assert _fields()["text"] == {"name": "text", "type": "string"}


def test_every_kind_of_value_comes_back() -> None:
    full = Everything(
        text="é",
        perhaps=Point(x=-1),
        points=(Point(x=1), Point(x=2)),
        counts={"b": 2, "a": 1},
        runs={"r": Point(x=0)},
    )

    for value in (Everything(text=""), full):
        assert decode_exactly(Everything, encode(value)) == value


@dataclass(frozen=True, kw_only=True)
class Ambiguous:
    either: int | str


def test_a_choice_of_types_is_no_wire_type() -> None:
    with pytest.raises(AssertionError, match="only X"):
        schema_of(Ambiguous)

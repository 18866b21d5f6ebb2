"""Any message at all: examples drawn from nothing but the types of the dataclasses."""

import dataclasses
import types
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Union, get_args, get_origin

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.derivation import field_types

_LONG = 2**63
# UTF-8 knows no lone surrogates.
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
_SPANS = st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6))
_INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the zone.
_PLAIN: dict[Any, SearchStrategy[Any]] = {
    str: _TEXTS,
    bool: st.booleans(),
    bytes: st.binary(max_size=12),
    int: st.integers(-_LONG, _LONG - 1),
    datetime: _INSTANTS,
    timedelta: _SPANS,
}


def any_of(hint: Any) -> SearchStrategy[Any]:
    """Values of a type that may stand in a message."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = next(a for a in arguments if a is not types.NoneType)
        return st.none() | any_of(inner)
    if origin in (tuple, frozenset):
        return st.lists(any_of(arguments[0]), max_size=3).map(origin)
    if origin in (Mapping, dict):
        return st.dictionaries(_TEXTS, any_of(arguments[1]), max_size=3)
    if dataclasses.is_dataclass(hint):
        return _records(hint)  # type: ignore[arg-type] # a class, not an instance
    return st.sampled_from(list(hint)) if issubclass(hint, StrEnum) else _PLAIN[hint]


def _records(cls: type) -> SearchStrategy[Any]:
    fields = {name: any_of(hint) for name, hint in field_types(cls).items()}
    return st.builds(cls, **fields)

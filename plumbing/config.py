"""Settings: environment variables in, one frozen dataclass out, read once in `__main__`.

Rule 1: the variable of a field is PREFIX_FIELD in capitals; an empty variable counts as not set.
Rule 2: a variable with our prefix that is no field stops the start: it is a spelling mistake.
Rule 3: no message repeats a value, because values may be secret.

It does not hold policy (grace periods, limits): that is decided into the log, not configured.
"""

import dataclasses
import math
import os
import types
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from plumbing import failpoints

_T = TypeVar("_T")
_FAILPOINTS_VARIABLE = "HABEAS_FP"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class ConfigError(ValueError):
    """The environment does not describe a process that may start."""


class Secret:
    """A text that shows itself only when asked to."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)


# Two settings classes of one process may share a beginning (KEYRING, KEYRING_CLIENT): a variable
# belongs to the longest prefix that fits, so neither refuses the other's.
_prefixes: set[str] = set()


def settings(prefix: str) -> Callable[[type[_T]], type[_T]]:
    """Declare the environment prefix of a settings dataclass."""

    def mark(cls: type[_T]) -> type[_T]:
        _prefixes.add(prefix)
        setattr(cls, "__settings_prefix__", prefix)  # noqa: B010 -- mypy knows no such attribute.
        return cls

    return mark


def load(cls: type[_T], *, environ: Mapping[str, str] | None = None) -> _T:
    """Read `cls` from the environment and arm the failpoints that HABEAS_FP names.

    Raises:
        ConfigError: a variable is missing, unreadable or unknown; names the variable, not its text.
    """
    environment = os.environ if environ is None else environ
    _arm_failpoints(environment)
    prefix = _prefix_of(cls)
    known = _variables(cls)
    _refuse_unknown(prefix, known.keys(), environment)
    values: dict[str, Any] = {}
    for variable, (field, hint) in known.items():
        text = environment.get(variable, "")
        if text:
            values[field.name] = _read(variable, text, hint)
        elif _is_required(field):
            raise ConfigError(f"{variable} is required and not set")
    try:
        return cls(**values)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{prefix}_* do not fit together: {error}") from None


def describe(config: object) -> dict[str, str]:
    """What a process started with, fit to be shown: secrets hidden, of mappings only the keys."""
    if not dataclasses.is_dataclass(config):
        raise TypeError("describe() wants a settings dataclass")
    return {
        field.name: _shown(getattr(config, field.name))
        for field in dataclasses.fields(config)
    }  # fmt: skip


def settings_of(cls: type[Any]) -> tuple[str, ...]:
    """The variables that `cls` reads, in the order of its fields."""
    return tuple(_variables(cls))


def _prefix_of(cls: type[Any]) -> str:
    prefix = getattr(cls, "__settings_prefix__", None)
    if not isinstance(prefix, str) or not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is no dataclass marked with @settings")
    return prefix


def _variables(cls: type[Any]) -> dict[str, tuple["dataclasses.Field[Any]", Any]]:
    prefix = _prefix_of(cls)
    hints = typing.get_type_hints(cls)
    return {
        f"{prefix}_{field.name}".upper(): (field, hints[field.name])
        for field in dataclasses.fields(cls)
    }


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _refuse_unknown(
    prefix: str, known: typing.Collection[str], environment: Mapping[str, str]
) -> None:
    longer = tuple(f"{other}_" for other in _prefixes if other.startswith(f"{prefix}_"))
    unknown = sorted(
        name
        for name in environment
        if name.startswith(f"{prefix}_")
        and name not in known
        and name != _FAILPOINTS_VARIABLE
        and not name.startswith(longer)
    )
    if unknown:
        raise ConfigError(f"no such setting: {', '.join(unknown)}")


def _arm_failpoints(environment: Mapping[str, str]) -> None:
    spec = environment.get(_FAILPOINTS_VARIABLE)
    if not spec:
        return
    try:
        failpoints.arm(spec)
    except failpoints.FailpointSpecError as error:
        raise ConfigError(f"{_FAILPOINTS_VARIABLE}: {error}") from None


def _read(variable: str, text: str, hint: Any) -> Any:
    kind = _without_none(hint)
    reader = _READERS.get(kind)
    if reader is None:
        raise TypeError(f"{variable}: settings cannot be of type {hint}")
    try:
        return reader(text)
    except ValueError:
        name = getattr(kind, "__name__", str(kind))
        raise ConfigError(f"{variable} is not a valid {name}") from None


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        if len(kinds) == 1:
            return kinds[0]
    return hint


def _read_bool(text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_seconds(text: str) -> timedelta:
    return timedelta(seconds=_read_float(text))


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read_mapping(text: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in _read_list(text)]
    if not all(key and equals for key, equals, _ in pairs):
        raise ValueError
    return types.MappingProxyType({key.strip(): value.strip() for key, _, value in pairs})


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: _read_float,
    bool: _read_bool,
    Path: Path,
    timedelta: _read_seconds,
    tuple[str, ...]: _read_list,
    Mapping[str, str]: _read_mapping,
    Secret: Secret,
}


def _shown(value: object) -> str:
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}=***" for key in value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)

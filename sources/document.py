"""A YAML document as plain values, with the line of every one of them.

It knows nothing of declarations; it refuses what YAML allows and a reader would trip over:
a key written twice, an alias, a key that is no text.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import yaml

from sources.contract import DeclarationError

STANDS: tuple[tuple[type, str], ...] = (
    (bool, "True or false, as YAML reads yes and no without quotes,"),
    (dict, "A mapping"),
    (list, "A list"),
    (str, "A text"),
    (int, "A number"),
    (object, "Something else"),
)


def read(text: str, file: str) -> "Field":
    """Read one document.

    Raises:
        DeclarationError: it is no YAML, or YAML with surprises.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _not_yaml().located(file, line) from None
    except yaml.YAMLError:
        raise _not_yaml().located(file, 1) from None
    if node is None:
        raise DeclarationError(
            "DECLARATION_EMPTY", "The file is empty.", "Write `source:` first."
        ).located(file, 1)
    lines: dict[str, int] = {}
    value = _Reader(file, lines).value(node, "")
    return Field(value=value, pointer="", origin=Origin(file, lines))


def _not_yaml() -> DeclarationError:
    return DeclarationError(
        "YAML_INVALID", "The file cannot be read as YAML.", "Mend the syntax at this line."
    )


class _Reader:
    def __init__(self, file: str, lines: dict[str, int]) -> None:
        self._file = file
        self._lines = lines
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, pointer: str) -> object:
        line = node.start_mark.line + 1
        self._lines[pointer] = line
        if id(node) in self._seen:
            raise DeclarationError(
                "YAML_ALIAS", "An alias stands here.", "Write the value out.", pointer
            ).located(self._file, line)
        self._seen.add(id(node))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, pointer)
            case yaml.SequenceNode():
                return [self.value(item, f"{pointer}/{i}") for i, item in enumerate(node.value)]
            case _:
                return self._scalar(node, pointer)

    def _mapping(self, node: yaml.MappingNode, pointer: str) -> dict[str, object]:
        entries: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node, pointer)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise DeclarationError(
                    "KEY_NOT_TEXT", "A key is not a text.", "Put it in quotes.", pointer
                ).located(self._file, line)
            below = f"{pointer}/{_escaped(key)}"
            if key in entries:
                raise DeclarationError(
                    "YAML_KEY_TWICE", f"`{key}` stands twice.", "Keep one of them.", below
                ).located(self._file, line)
            entries[key] = self.value(value_node, below)
        return entries

    def _scalar(self, node: yaml.Node, pointer: str) -> object:
        try:
            constructed: object = yaml.SafeLoader("").construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError):
            raise DeclarationError(
                "VALUE_UNREADABLE", "This value cannot be read.", "Put it in quotes.", pointer
            ).located(self._file, node.start_mark.line + 1) from None
        return constructed


def _escaped(key: str) -> str:
    # RFC 6901: the two characters that a JSON pointer spells otherwise.
    return key.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document came from, so that a mistake found later can still be shown in it."""

    file: str
    lines: Mapping[str, int]

    def locate(self, error: DeclarationError) -> DeclarationError:
        """Name the line of the error's pointer, or of the nearest thing above it."""
        pointer = error.pointer
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return error.located(self.file, self.lines.get(pointer, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A value and where it stands. Its methods read it as what it should be, or say why not."""

    value: object
    pointer: str
    origin: Origin

    def error(self, code: str, sentence: str, next_step: str) -> DeclarationError:
        return self.origin.locate(DeclarationError(code, sentence, next_step, self.pointer))

    def entries(self) -> dict[str, "Field"]:
        if not isinstance(self.value, dict):
            raise self._wrong_type("a mapping")
        return {key: self._below(key, value) for key, value in self.value.items()}

    def keys(
        self, *, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, "Field"]:
        """Read a mapping of which every key is known, and the required ones are there."""
        entries = self.entries()
        known = [*required, *optional]
        for key, field in entries.items():
            if key not in known:
                raise field.error("KEY_UNKNOWN", f"`{key}` is not known here.", _hint(key, known))
        for key in required:
            if key not in entries:
                raise self.error("KEY_MISSING", f"`{key}` is missing.", f"Add `{key}:` here.")
        return entries

    def items(self) -> list["Field"]:
        if not isinstance(self.value, list):
            raise self._wrong_type("a list")
        return [self._below(str(i), value) for i, value in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self._wrong_type("a text")
        if not self.value.strip():
            raise self.error("VALUE_EMPTY", "This text is empty.", "Say what belongs here.")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """Read a list of texts, each of them once."""
        seen: list[str] = []
        for item in self.items():
            name = item.text()
            if name in seen:
                raise item.error("NAME_TWICE", f"`{name}` stands twice.", "Keep one of them.")
            seen.append(name)
        return tuple(seen)

    def whole_number(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self._wrong_type("a whole number")
        return self.value

    def _below(self, key: str, value: object) -> "Field":
        return Field(value=value, pointer=f"{self.pointer}/{_escaped(key)}", origin=self.origin)

    def _wrong_type(self, wanted: str) -> DeclarationError:
        found = (
            "Nothing"
            if self.value is None
            else next(word for kind, word in STANDS if isinstance(self.value, kind))
        )
        return self.error("WRONG_TYPE", f"{found} stands here.", f"Write {wanted}.")


def _hint(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"Did you mean `{close[0]}`?"
    return f"Known here: {', '.join(known)}."

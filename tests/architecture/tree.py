"""The project's own files, as the tests of this folder look at them."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = (
    "rights",
    "schemas",
    "proofs",
    "plumbing",
    "logbook",
    "sources",
    "services",
    "projections",
    "auditor",
    "devstack",
    "benchmarks",
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Source:
    """One module: where it is, what it says, and what that means."""

    path: Path
    text: str
    tree: ast.Module

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Its path from the root, as one would write it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        return self.name.partition("/")[0]

    @cached_property
    def _nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    def functions(self) -> Iterator[_Function]:
        for node in self._nodes:
            if isinstance(node, _Function):
                yield node

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Calls of functions or methods by these names."""
        for node in self._nodes:
            if isinstance(node, ast.Call) and called(node) in names:
                yield node

    def imports(self) -> Iterator[str]:
        """The full name of every module that is imported anywhere in it."""
        for node in self._nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


@cache
def sources(*rooms: str) -> tuple[Source, ...]:
    """Every module of these rooms; of all but the tests if none is named."""
    paths = (path for room in rooms or ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return tuple(_source(path) for path in paths)


@cache
def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path, text, ast.parse(text))


@cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

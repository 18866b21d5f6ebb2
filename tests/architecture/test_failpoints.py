"""Every place where a process may be killed in a test is declared, and every declared one exists."""

import ast

from plumbing import failpoints
from tests.architecture.tree import sources


def _places() -> set[str]:
    """Every name that code outside the tests marks a place with."""
    return {
        str(call.args[0].value)
        for source in sources()
        for call in source.calls("fp")
        if call.args and isinstance(call.args[0], ast.Constant)
    }


def test_every_place_is_declared_and_every_declared_place_exists() -> None:
    assert _places() == failpoints.NAMES


def test_places_are_named_by_plain_texts() -> None:
    unnamed = [
        f"{source}:{call.lineno}"
        for source in sources()
        for call in source.calls("fp")
        if not isinstance(call.args[0], ast.Constant)
    ]

    assert unnamed == []

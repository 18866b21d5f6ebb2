"""Tests that test: they assert, they do not sleep, and what they prove has an id."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.architecture.tree import Source, called, sources

REQUIREMENT: Final = re.compile(r"E[0-4]-T?\d{2}")
# Waiting with a deadline has one place, and it is the only one that sleeps.
MAY_SLEEP: Final = {"tests/support/waiting.py"}
# Checks that raise instead of being told by `assert`.
CHECKING: Final = re.compile(
    r"raises|warns|fail|until|answer|verify|then.*|expect.*|assert.*|check.*|must.*|refused?|refuses"
)
# The law of these is that nothing is raised.
NOTHING_RAISED: Final = {
    "test_a_letter_is_taken",
    "test_a_letter_may_be_handed_over_twice_under_one_id",
    "test_aborting_an_unknown_upload_is_done_already",
    "test_an_existing_bucket_is_as_good_as_a_new_one",
    "test_disarming_ends_it",
    "test_nothing_happens_when_nothing_is_armed",
}


def _tests() -> Iterator[tuple[Source, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for source in sources("tests"):
        for function in source.functions():
            if source.path.name.startswith("test_") and function.name.startswith("test_"):
                yield source, function


def _asserts(function: ast.AST, source: Source, depth: int = 2) -> bool:
    """Whether it asserts, or calls what does; helpers of the same file are looked into."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    if any(CHECKING.fullmatch(called(call).lstrip("_")) for call in calls):
        return True
    helpers = [f for f in source.functions() if f.name in {called(call) for call in calls}]
    return depth > 0 and any(_asserts(helper, source, depth - 1) for helper in helpers)


def test_every_test_asserts_something() -> None:
    silent = {test.name: source.name for source, test in _tests() if not _asserts(test, source)}

    assert {name: at for name, at in silent.items() if name not in NOTHING_RAISED} == {}


def test_every_test_is_a_sentence() -> None:
    short = [f"{source}: {test.name}" for source, test in _tests() if test.name.count("_") < 3]

    assert short == []


def test_no_test_sleeps() -> None:
    sleeping = {
        source.name
        for source in sources("tests")
        if any(_is_sleep(call) for call in source.calls("sleep"))
    }

    assert sleeping == MAY_SLEEP


def _is_sleep(call: ast.Call) -> bool:
    match call:
        case ast.Call(args=[ast.Constant(value=0)]):
            # Lets other tasks run, and waits for no time at all.
            return False
        case ast.Call(func=ast.Attribute(value=ast.Name(id=("time" | "asyncio"))) | ast.Name()):
            return True
        case _:
            return False


def test_no_test_is_told_another_time() -> None:
    frozen = [
        s
        for s in sources("tests")
        if any("freeze" in n or "time_machine" in n for n in s.imports())
    ]

    assert frozen == []


def test_every_requirement_that_a_test_names_is_an_id() -> None:
    ids = [
        (f"{source}:{call.lineno}", getattr(argument, "value", None))
        for source in sources("tests")
        for call in source.calls("requirement")
        for argument in call.args
    ]

    assert ids
    assert [(at, one) for at, one in ids if not (one and REQUIREMENT.fullmatch(one))] == []

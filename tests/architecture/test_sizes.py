"""Sizes at which a noun is hiding in a file, and a step in a function. No exceptions: split."""

from collections import Counter
from typing import Final

from tests.architecture.tree import ROOMS, ROOT, Source, sources

FUNCTION_LINES_MAX: Final = 70
FILE_LINES_MAX: Final = 400
TEST_FILE_LINES_MAX: Final = 500
CONFTEST_LINES_MAX: Final = 100
MODULES_MAX: Final = 12
# These say what a folder is and start it; they hold nothing.
NO_MODULES: Final = ("__init__.py", "__main__.py", "conftest.py")


def _limit(source: Source) -> int:
    if source.path.name == "conftest.py":
        return CONFTEST_LINES_MAX
    return TEST_FILE_LINES_MAX if source.room == "tests" else FILE_LINES_MAX


def test_no_file_is_too_long() -> None:
    lengths = {source: len(source.text.splitlines()) for source in sources(*ROOMS, "tests")}

    assert {s.name: n for s, n in lengths.items() if n > _limit(s)} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{source.name}: {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for source in sources(*ROOMS, "tests")
        for function in source.functions()
    }

    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES_MAX} == {}


def test_no_folder_has_too_many_modules() -> None:
    modules = (s.path for s in sources(*ROOMS, "tests") if s.path.name not in NO_MODULES)
    counted = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules)

    assert {folder: n for folder, n in counted.items() if n > MODULES_MAX} == {}

"""Declaration files and an environment in, sources out.

It reads files and a mapping that it is given; it opens no connection.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from sources.contract import DeclarationError
from sources.declaration import Declaration, parse
from sources.postgres import PostgresSource

SUFFIX = ".source.yaml"


def declarations(paths: Iterable[Path]) -> tuple[Declaration, ...]:
    """Read the files, and the files in the folders, that are given.

    Raises:
        DeclarationError: one of them is wrong, two declare one source, or there is none.
    """
    found: dict[str, Declaration] = {}
    for file in _files(paths):
        declared = parse(_text(file), str(file))
        if declared.source in found:
            raise DeclarationError(
                "SOURCE_TWICE",
                f"`{declared.source}` is declared already, in another file.",
                "Rename one of them, or load only one.",
                "/source",
            ).located(str(file), declared.origin.lines["/source"])
        found[declared.source] = declared
    if not found:
        raise DeclarationError(
            "DECLARATION_NOT_FOUND",
            "No source is declared where you looked.",
            f"Name a file, or a folder with files that end in {SUFFIX}.",
        )
    return tuple(found.values())


def load(paths: Iterable[Path], environment: Mapping[str, str]) -> dict[str, PostgresSource]:
    """Make the declared sources, by name; the environment says where their databases are.

    Raises:
        DeclarationError: as `declarations`, or a database's variable is not set.
    """
    return {
        declared.source: PostgresSource(declared, _dsn(declared, environment))
        for declared in declarations(paths)
    }


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob(f"*{SUFFIX}"))
        else:
            yield path


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise DeclarationError(
            "FILE_UNREADABLE",
            "This file cannot be read as UTF-8 text.",
            "Check its name and its permissions.",
        ).located(str(file), 1) from None


def _dsn(declared: Declaration, environment: Mapping[str, str]) -> str:
    dsn = environment.get(declared.database_variable)
    if not dsn:
        raise declared.origin.locate(
            DeclarationError(
                "DATABASE_VARIABLE_MISSING",
                f"The environment has no {declared.database_variable}.",
                f"Set {declared.database_variable} to the connection string of the database.",
                "/database",
            )
        )
    return dsn

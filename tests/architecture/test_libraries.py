"""The libraries that the project is built on do the work they were chosen for."""

import re
import sys
from importlib.metadata import packages_distributions
from typing import Final

import pytest

from tests.architecture.tree import ROOMS, project, sources

# Distribution, the package it brings, and where it must be at work.
OWNED: Final = (
    ("confluent-kafka", "confluent_kafka", "plumbing/kafka/"),
    ("faust-streaming", "faust", "services/collectors/"),
    ("fastavro", "fastavro", "schemas/"),
    ("psycopg", "psycopg", "plumbing/postgres/"),
    ("boto3", "boto3", "plumbing/objects/"),
    ("starlette", "starlette", "plumbing/web/"),
    ("cryptography", "cryptography", "proofs/"),
    ("pytest", "pytest", "tests/"),
    ("testcontainers", "testcontainers", "tests/support/"),
)
# The other half of a library that is declared.
COMES_WITH: Final = {
    "aiokafka": "faust-streaming",
    "botocore": "boto3",
    "markupsafe": "jinja2",
    "psycopg_pool": "psycopg",
}


def _declared() -> dict[str, str]:
    """Every requirement of the project, by its distribution's name."""
    settings = project()["project"]
    extras = settings["optional-dependencies"].values()
    requirements = [*settings["dependencies"], *(r for extra in extras for r in extra)]
    return {_spelt(re.split(r"[\[<>=~! ]", r)[0]): r for r in requirements}


def _spelt(distribution: str) -> str:
    """A distribution's name as the registries compare it."""
    return distribution.lower().replace("_", "-")


@pytest.mark.parametrize(("distribution", "package", "place"), OWNED, ids=[o[0] for o in OWNED])
def test_a_library_is_declared_and_at_work_where_it_belongs(
    distribution: str, package: str, place: str
) -> None:
    users = [
        source.name
        for source in sources(*ROOMS, "tests")
        if any(name.partition(".")[0] == package for name in source.imports())
    ]

    assert distribution in _declared()
    assert any(user.startswith(place) for user in users)


def test_what_is_imported_is_declared() -> None:
    ours = {*ROOMS, "tests", *sys.stdlib_module_names}
    brought_by = packages_distributions()
    undeclared = {
        f"{source.name}: {package}"
        for source in sources(*ROOMS, "tests")
        for package in {name.partition(".")[0] for name in source.imports()} - ours
        if not {COMES_WITH.get(package), *map(_spelt, brought_by.get(package, ()))}
        & set(_declared())
    }

    assert undeclared == set()


def test_what_the_services_need_is_not_hidden_among_the_tools_of_developers() -> None:
    runtime = " ".join(project()["project"]["dependencies"])

    assert all(d in runtime for d, _, place in OWNED if not place.startswith("tests/"))


def test_nobody_replaces_real_parts_by_mocks() -> None:
    offenders = [
        source.name
        for source in sources(*ROOMS, "tests")
        if any("mock" in name.lower().split(".") for name in source.imports())
    ]

    assert offenders == []

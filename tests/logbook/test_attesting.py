"""Facts beyond the subject, with who says so and as of when."""

import pytest

from logbook.attesting import sole_administrator
from plumbing.directory import DirectoryUnavailable, MemoryDirectory, Person
from tests.support.log_writer import START


def _person(name: str, *roles: str) -> Person:
    return Person(
        stable_id=f"id-{name}",
        email=f"{name}@example.org",
        name=name.title(),
        registered_on=START.date(),
        roles=roles,
        handles={},
    )


ADA, GRACE, LIN = _person("ada", "admin"), _person("grace", "admin"), _person("lin", "member")


@pytest.mark.requirement("E3-14")
@pytest.mark.parametrize(
    ("people", "person", "value"),
    [
        ([ADA, LIN], ADA, "true"),
        ([ADA, GRACE, LIN], ADA, "false"),
        ([ADA, LIN], LIN, "false"),
    ],
    ids=["the only one", "one of two", "none at all"],
)
def test_whether_a_person_is_the_only_administrator_is_asked_of_the_directory(
    people: list[Person], person: Person, value: str
) -> None:
    directory = MemoryDirectory({"acme-wellbeing": people})

    fact = sole_administrator(directory, "acme-wellbeing", person, now=START)

    assert (fact.fact, fact.value) == ("sole_administrator", value)
    assert (fact.source, fact.as_of) == ("directory:acme-wellbeing", START)


def test_nothing_is_attested_when_the_directory_does_not_answer() -> None:
    def away() -> None:
        raise DirectoryUnavailable("TIMED_OUT")

    directory = MemoryDirectory({"acme-wellbeing": [ADA]}, fault=away)

    with pytest.raises(DirectoryUnavailable):
        sole_administrator(directory, "acme-wellbeing", ADA, now=START)

"""Whatever is down, nobody is told a lie, nothing is done twice and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from logbook.following import Follower, Following
from plumbing import failpoints
from plumbing.directory import DirectoryUnavailable, Person
from plumbing.kafka import BrokerError, Outgoing
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop, run_threads
from plumbing.vault import VaultRefused, VaultUnavailable
from projections.queries import CommandView, Queries
from schemas.topics import COMMANDS_INTAKE
from services.request_api.building import watch
from tests.services.request_api.world import BASE, REQUESTS, World
from tests.support.asking import PARTITIONS
from tests.support.waiting import until

EXPORT = {"type": "export"}


def commands_sent(world: World) -> int:
    return len(world.records(COMMANDS_INTAKE))


def raising(failure: Exception) -> Callable[..., None]:
    def fault(*_: object) -> None:
        raise failure

    return fault


def test_with_the_decider_down_the_outcome_is_unknown_and_a_retry_finds_it(
    world: World, ines: Person
) -> None:
    with world.without_decider():
        unknown = [
            world.post(ines, REQUESTS, EXPORT, key="my-key", client=world.impatient)
            for _ in range(3)
        ]
    answered = world.post(ines, REQUESTS, EXPORT, key="my-key")

    for answer in unknown:
        assert (answer.status_code, answer.json()["code"]) == (503, "OUTCOME_UNKNOWN")
        assert answer.headers["retry-after"] == "5"
        assert "same Idempotency-Key" in answer.json()["message"]
    assert answered.status_code == 202
    assert world.commands_of(ines) == ["SubmitExport"]


def test_who_waits_while_the_decider_comes_back_gets_the_answer(world: World, ines: Person) -> None:
    answers: list[int] = []

    def wait_for_it() -> None:
        answers.append(world.post(ines, REQUESTS, EXPORT).status_code)

    before = commands_sent(world)
    with world.without_decider():
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        until(lambda: commands_sent(world) > before)
    waiting.join(20)

    assert answers == [202]


@pytest.mark.parametrize("place", ["api.producing", "api.produced", "api.decided"])
def test_after_a_crash_a_retry_gives_one_decision(world: World, ines: Person, place: str) -> None:
    failpoints.arm(f"{place}:1:err")

    crashed = world.post(ines, REQUESTS, EXPORT, key="my-key")
    answered = world.post(ines, REQUESTS, EXPORT, key="my-key")
    again = world.post(ines, REQUESTS, EXPORT, key="my-key")

    assert (crashed.status_code, crashed.json()["code"]) == (500, "INTERNAL")
    assert "safe" in crashed.json()["next_step"]
    assert answered.status_code == 202
    assert again.content == answered.content
    assert world.commands_of(ines) == ["SubmitExport"]


@pytest.mark.parametrize("failure", [VaultUnavailable("UNREACHABLE"), VaultRefused("RATE_LIMITED")])
def test_with_the_keyring_down_nothing_is_filed_and_nothing_is_sent(
    world: World, ines: Person, dana: Person, failure: Exception
) -> None:
    reference = world.filed(world.person())["reference"]
    before = commands_sent(world)

    world.keyring.fault = raising(failure)
    answers = [
        world.post(ines, REQUESTS, EXPORT, key="my-key"),
        world.post(dana, f"{REQUESTS}/{reference}/cancel"),
        world.post(dana, f"{BASE}/policies", {"profile": "workspace-admin"}),
        world.get(ines, REQUESTS),
    ]
    sent = commands_sent(world) - before
    world.keyring.fault = lambda: None
    afterwards = world.post(ines, REQUESTS, EXPORT, key="my-key")

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(503, "UNAVAILABLE")}
    assert "keyring" in answers[0].json()["message"]
    assert answers[0].headers["retry-after"] == "5"
    assert "Nothing was filed" in answers[0].json()["message"]
    assert "filed" not in answers[-1].json()["message"]
    assert sent == 0
    assert afterwards.status_code == 202


def test_with_the_directory_down_nothing_is_filed(world: World, ines: Person) -> None:
    before = commands_sent(world)

    world.directory.fault = raising(DirectoryUnavailable())
    answer = world.post(ines, REQUESTS, EXPORT)

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "directory" in answer.json()["message"]
    assert commands_sent(world) == before


def test_a_retry_is_answered_whether_or_not_the_directory_is(world: World, ines: Person) -> None:
    first = world.post(ines, REQUESTS, EXPORT, key="my-key")

    world.directory.fault = raising(DirectoryUnavailable())
    again = world.post(ines, REQUESTS, EXPORT, key="my-key")

    assert again.content == first.content


def test_a_broker_that_does_not_answer_leaves_the_outcome_unknown(
    world: World, ines: Person
) -> None:
    """It may have taken the command all the same."""
    world.fault = raising(BrokerError("_MSG_TIMED_OUT", is_retriable=True))
    unknown = world.post(ines, REQUESTS, EXPORT, key="my-key")
    world.fault = lambda _: None
    answered = world.post(ines, REQUESTS, EXPORT, key="my-key")

    assert (unknown.status_code, unknown.json()["code"]) == (503, "OUTCOME_UNKNOWN")
    assert answered.status_code == 202
    assert world.commands_of(ines) == ["SubmitExport"]


class DownQueries(Queries):
    """Views whose database is away."""

    def __init__(self) -> None:
        """There is nothing to open."""

    def command(self, command_id: str) -> CommandView | None:
        raise DatabaseUnavailable

    def request(self, tenant_ref: str, reference: str) -> None:
        raise DatabaseUnavailable

    def wait_for(self, partition: int, seq: int, timeout: float) -> bool:
        return False


def test_filing_needs_no_views(world: World, ines: Person) -> None:
    client = world.serve(replace(world.filing, queries=DownQueries()))

    filed = world.post(ines, REQUESTS, EXPORT, client=client)
    shown = client.get(f"{REQUESTS}/EXP-2026-00065", headers=world.signed_in(ines))

    assert filed.status_code == 202
    assert (shown.status_code, shown.json()["code"]) == (503, "UNAVAILABLE")
    assert "database" in shown.json()["message"]


def test_what_was_sent_before_the_views_went_away_is_not_denied(world: World, ines: Person) -> None:
    """The answer is too old for the book, and the views that would know it are away."""
    within = world.filing.answer_within / 50
    client = world.serve(replace(world.filing, queries=DownQueries(), answer_within=within))
    sent: list[Outgoing] = []

    def forget(out: Outgoing) -> None:
        sent.append(out)
        world.book.has_forgotten = True

    world.fault = forget
    with world.without_decider():
        answer = world.post(ines, REQUESTS, EXPORT, client=client)
    world.book.has_forgotten = False

    assert len(sent) == 1
    assert (answer.status_code, answer.json()["code"]) == (503, "OUTCOME_UNKNOWN")


def test_a_process_that_cannot_follow_the_log_ends(world: World) -> None:
    """A log of another installation, say: nobody would ever get an answer."""
    follower = Follower(world.connection, range(PARTITIONS), log_id="00" * 16)
    following = Following(follower, lambda _: None)
    stop = Stop()
    following._thread.start()

    code = run_threads(stop, {"following": lambda: watch(following, stop)})
    following.stop()

    assert code == 1
    assert stop.is_set()

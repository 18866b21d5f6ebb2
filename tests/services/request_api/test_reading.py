"""Reading one's writes, and following a request live until its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from plumbing.directory import Person
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop
from projections.queries import RequestView
from rights.orders import CollectSections
from rights.reports import ReportCollectionStarted, ReportSourceRefused, ReportSourceUnavailable
from services.request_api.reading import Reading
from tests.services.request_api.workers import collect_export, seal_export
from tests.services.request_api.world import REQUESTS, World
from tests.support.waiting import until


class Listener:
    """Follows a request's events on a thread of its own."""

    def __init__(self, client: httpx2.Client, headers: dict[str, str], reference: str) -> None:
        self.events: list[dict[str, str]] = []
        self.headers: dict[str, str] = {}
        self.failure: BaseException | None = None
        self._ask = (client, headers, f"{REQUESTS}/{reference}/events")
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        client, headers, path = self._ask
        fields: dict[str, str] = {}
        try:
            with client.stream("GET", path, headers=headers, timeout=30) as stream:
                self.headers = dict(stream.headers)
                for line in stream.iter_lines():
                    if line:
                        name, _, value = line.partition(":")
                        fields[name] = value.strip()
                    elif "data" in fields:
                        self.events.append(fields)
                        fields = {}
        except httpx2.HTTPError as failure:
            self.failure = failure

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(event["data"]) for event in list(self.events)]

    def ended(self) -> bool:
        self.thread.join(15)
        return not self.thread.is_alive()


@contextmanager
def listening(world: World, person: Person, reference: str) -> Iterator[Listener]:
    listener = Listener(world.client, world.signed_in(person), reference)
    try:
        yield listener
    finally:
        listener.thread.join(20)


def test_progress_is_sent_as_it_is_made_and_ends_with_the_request(
    world: World, ines: Person
) -> None:
    data = world.filed(ines)

    with listening(world, ines, data["reference"]) as listener:
        until(lambda: listener.events)
        collect_export(world, world.request_id(data))
        until(lambda: listener.bodies[-1]["phase"] == "SEAL")
        seal_export(world, world.subject_ref(ines), world.request_id(data), store=world.store)

    assert listener.ended()
    assert listener.failure is None
    bodies = listener.bodies
    assert [bodies[0]["state"], bodies[-1]["state"]] == ["PENDING", "COMPLETED"]
    percents = [body["percent"] for body in bodies]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert {event["event"] for event in listener.events} == {"progress"}
    assert [event["id"] for event in listener.events] == [str(b["version"]) for b in bodies]
    assert listener.headers["content-type"].startswith("text/event-stream")
    assert listener.headers["cache-control"] == "no-store"


def test_a_request_that_has_ended_is_told_once(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, b"archive")

    with listening(world, ines, reference) as listener:
        assert listener.ended()

    assert [body["state"] for body in listener.bodies] == ["COMPLETED"]


def test_waiting_for_a_source_and_its_failure_are_told(world: World, ines: Person) -> None:
    data = world.filed(ines)
    order = until(lambda: world.owed(world.request_id(data), CollectSections))[0]
    to = {"request_id": order.request_id, "order_id": order.order_id, "source": order.source}
    reporter = world.reporter("collectors")

    with listening(world, ines, data["reference"]) as listener:
        reporter.send(world.producer, order, ReportSourceUnavailable(**to, code="SOURCE_TIMEOUT"))
        until(lambda: listener.events and listener.bodies[-1]["waiting_for"])
        reporter.send(world.producer, order, ReportSourceRefused(**to, code="SOURCE_FAULT"))

    bodies = listener.bodies
    assert f"{order.source}: SOURCE_TIMEOUT" in [body["waiting_for"] for body in bodies]
    assert (bodies[-1]["state"], bodies[-1]["failure"], bodies[-1]["failed_source"]) == (
        "FAILED",
        "SOURCE_FAULT",
        order.source,
    )


def test_a_stranger_gets_no_stream(world: World, ines: Person) -> None:
    foreign = world.filed(world.person())["reference"]

    answer = world.get(ines, f"{REQUESTS}/{foreign}/events")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_person_sees_the_end_of_their_own_erasure(world: World, ines: Person) -> None:
    """Which is when nobody knows any more whose it was."""
    data = world.filed(ines, "erasure")

    with listening(world, ines, data["reference"]) as listener:
        until(lambda: listener.events)
        world.keyring.forget(world.subject_ref(ines))
        dana = world.person("admin")
        world.post(dana, f"{REQUESTS}/{data['reference']}/cancel")

    assert listener.bodies[-1]["state"] == "CANCELLED"


def test_a_stream_ends_when_the_process_is_asked_to_stop(world: World, ines: Person) -> None:
    data = world.filed(ines)
    kept, world.stop = world.stop, Stop()
    client = world.serve(world.filing)
    stopping, world.stop = world.stop, kept

    listener = Listener(client, world.signed_in(ines), data["reference"])
    until(lambda: listener.events)
    stopping.set()

    assert listener.ended()
    assert listener.failure is None


def test_a_stream_ends_when_the_views_go_away_so_that_it_is_taken_up_again(
    world: World, ines: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = world.filed(ines)
    looks: list[str] = []
    again = Reading.again

    def fail_later(self: Reading, caller: Any, reference: str) -> RequestView:
        looks.append(reference)
        if len(looks) > 3:
            raise DatabaseUnavailable
        return again(self, caller, reference)

    monkeypatch.setattr(Reading, "again", fail_later)
    with listening(world, ines, data["reference"]) as listener:
        assert listener.ended()

    assert listener.failure is None
    assert len(listener.events) == 1


def test_a_reader_who_names_the_position_of_their_command_sees_what_it_did(
    world: World,
) -> None:
    for _ in range(10):
        person = world.person()
        answer = world.post(person, REQUESTS, {"type": "export"})
        data = answer.json()["data"]

        shown = world.get(person, answer.headers["location"], position=data["position"])

        assert shown.json()["data"]["reference"] == data["reference"]
        assert shown.headers["etag"] == '"1"'


def test_a_position_that_the_views_do_not_reach_in_time_is_come_back(
    world: World, ines: Person
) -> None:
    reference = world.filed(ines)["reference"]

    answer = world.get(ines, f"{REQUESTS}/{reference}", position="0-999999999")

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"


def test_the_timeline_tells_what_happened_and_no_secret(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, b"archive")
    world.post(ines, f"{REQUESTS}/{reference}/downloads")

    def events() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = world.get(ines, f"{REQUESTS}/{reference}/timeline").json()[
            "data"
        ]
        return found

    until(lambda: events()[-1]["event"] == "DownloadGranted")
    names = [event["event"] for event in events()]
    assert names[0] == "ExportSubmitted"
    assert {"CollectionStarted", "SectionsCollected", "BundleSealed", "RequestCompleted"} < set(
        names
    )
    text = json.dumps(events())
    for secret in (ines.email, ines.name, ines.stable_id, "vault", "token"):
        assert secret not in text


def test_progress_of_an_export_counts_its_sources(world: World, ines: Person) -> None:
    data = world.filed(ines)
    path = f"{REQUESTS}/{data['reference']}"
    orders = until(lambda: world.owed(world.request_id(data), CollectSections))
    order = orders[0]
    to = {"request_id": order.request_id, "order_id": order.order_id, "source": order.source}
    reporter = world.reporter("collectors")

    percents = [world.get(ines, path).json()["data"]["percent"]]
    reporter.send(world.producer, order, ReportCollectionStarted(**to, run_id="run-1"))
    for percent in (50, 100):
        out = reporter.progress(order, order.source, percent)
        world.producer.send_and_wait([out], 5)
        expected = min(99, percent) * 80 // 200
        until(lambda e=expected: world.get(ines, path).json()["data"]["percent"] == e)  # type: ignore[misc]
        percents.append(world.get(ines, path).json()["data"]["percent"])

    assert percents == [0, 20, 39]

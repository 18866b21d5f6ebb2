"""An archive goes out to whoever holds a link that was granted, whole or visibly not."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import timedelta

import httpx2
import pytest

from plumbing.clock import ManualClock
from plumbing.directory import Person
from plumbing.objects import StoreUnavailable
from plumbing.vault import VaultRefused, VaultUnavailable
from rights.events import DownloadGranted
from services.request_api.answers import AnswerBook
from tests.services.request_api.workers import FILE_NAME
from tests.services.request_api.world import BASE, REQUESTS, World

ARCHIVE = b"PK\x03\x04 an archive " * 20_000


def granted(world: World, person: Person, reference: str) -> str:
    """A link to the archive."""
    answer = world.post(person, f"{REQUESTS}/{reference}/downloads")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["url"])


def test_a_granted_link_streams_exactly_the_archive(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, ARCHIVE)

    fetched = world.client.get(granted(world, ines, reference))

    digest = base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode()
    assert fetched.content == ARCHIVE
    assert fetched.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert fetched.headers["content-length"] == str(len(ARCHIVE))
    assert fetched.headers["content-type"] == "application/zip"
    assert fetched.headers["content-disposition"] == f'attachment; filename="{FILE_NAME}"'
    assert fetched.headers["cache-control"] == "no-store"
    assert fetched.headers["referrer-policy"] == "no-referrer"


def test_an_empty_archive_is_an_archive(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, b"")

    fetched = world.client.get(granted(world, ines, reference))

    assert (fetched.status_code, fetched.content) == (200, b"")


def test_the_grant_is_in_the_log_before_the_first_byte_leaves(world: World, ines: Person) -> None:
    """T-17: nobody can say that they never fetched it, nor we that they did not."""
    reference = world.ready_export(ines, ARCHIVE)

    answer = world.post(ines, f"{REQUESTS}/{reference}/downloads")

    token = answer.json()["data"]["url"].rpartition("/")[2]
    grant = world.event(world.request_id_of(reference), DownloadGranted)
    assert grant.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str([entry.decision for entry in world.entries])
    assert grant.actor_role == "SUBJECT"


def test_each_link_is_another_one_and_all_of_them_work(
    world: World, ines: Person, dana: Person
) -> None:
    reference = world.ready_export(ines, b"archive")

    links = [granted(world, person, reference) for person in (ines, dana, ines)]

    assert len(set(links)) == 3
    assert {world.client.get(link).content for link in links} == {b"archive"}


@pytest.mark.parametrize(
    "token", ["0" * 64, "x", "0" * 63, "A" * 64, "0" * 64 + "%0A", "%00", "..%2f..%2fetc"]
)
def test_an_unknown_token_is_not_found(world: World, token: str) -> None:
    answer = world.client.get(f"{BASE}/downloads/{token}")

    assert answer.status_code == 404
    assert answer.json()["message"] in ("Download link not found", "Not Found.")
    if "%2f" not in token:
        assert answer.json()["message"] == "Download link not found"


def test_a_link_ends_with_its_time_and_stays_ended(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, b"archive")
    link = granted(world, ines, reference)
    world.clock.advance(timedelta(hours=1) - timedelta(seconds=1))
    on_time = world.client.get(link)

    world.clock.advance(timedelta(seconds=1))
    late = world.client.get(link)
    another = granted(world, ines, reference)
    later = world.client.get(link)

    assert on_time.content == b"archive"
    for answer in (late, later):
        assert (answer.status_code, answer.json()["code"]) == (410, "GONE_GDPR_EXPORT")
        assert answer.json()["message"].startswith("This download link has expired.")
    assert world.client.get(another).status_code == 200


def test_a_link_ends_by_our_own_clock_also_where_the_keyring_would_still_open(
    world: World, ines: Person
) -> None:
    link = granted(world, ines, world.ready_export(ines, b"archive"))
    world.standing._clock = ManualClock(world.clock.now())
    world.clock.advance(timedelta(hours=1))

    answer = world.client.get(link)
    world.standing._clock = world.clock

    assert (answer.status_code, answer.json()["code"]) == (410, "GONE_GDPR_EXPORT")


def test_an_archive_ends_with_its_own_time_for_everybody(
    world: World, ines: Person, dana: Person
) -> None:
    reference = world.ready_export(ines, b"archive")
    world.clock.advance(timedelta(days=7) - timedelta(minutes=10))
    link = granted(world, ines, reference)
    world.clock.advance(timedelta(minutes=10))

    answers = [
        world.client.get(link),
        world.post(ines, f"{REQUESTS}/{reference}/downloads"),
        world.post(dana, f"{REQUESTS}/{reference}/downloads"),
    ]

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(410, "GONE_GDPR_EXPORT")}


def test_what_was_forgotten_for_want_of_room_is_only_what_has_ended(
    world: World, ines: Person
) -> None:
    reference = world.ready_export(ines, b"archive")
    small = AnswerBook(grants_kept=1)
    tokens = []
    for _ in range(3):
        tokens.append(granted(world, ines, reference).rpartition("/")[2])
        world.clock.advance(timedelta(minutes=40))
    for entry in world.entries:
        small.apply(entry)

    known = [small.grant(hashlib.sha256(t.encode()).hexdigest()) is not None for t in tokens]
    # At the last granting the first had ended and the second had not.
    assert known == [False, True, True]


def test_an_export_that_is_not_ready_has_no_link(world: World, ines: Person) -> None:
    reference = world.filed(ines)["reference"]

    answer = world.post(ines, f"{REQUESTS}/{reference}/downloads")

    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_READY")


def test_an_erasure_has_no_archive(world: World, ines: Person) -> None:
    reference = world.filed(ines, "erasure")["reference"]

    answer = world.post(ines, f"{REQUESTS}/{reference}/downloads")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("operation", ["read", "read.piece"])
def test_a_store_that_is_down_is_answered_with_come_back(
    world: World, ines: Person, operation: str
) -> None:
    link = granted(world, ines, world.ready_export(ines, ARCHIVE))

    def down(asked: str) -> None:
        if asked == operation:
            raise StoreUnavailable("SlowDown")

    world.store.fault = down
    answer = world.client.get(link)
    world.store.fault = lambda _: None

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"
    assert "archive store" in answer.json()["message"]
    assert world.client.get(link).content == ARCHIVE


def test_a_store_that_goes_down_half_way_breaks_the_download_off(
    world: World, ines: Person
) -> None:
    link = granted(world, ines, world.ready_export(ines, os.urandom(300_000)))
    pieces: list[str] = []

    def down_later(asked: str) -> None:
        pieces.append(asked)
        if pieces.count("read.piece") == 3:
            raise StoreUnavailable("SlowDown")

    world.store.fault = down_later
    with pytest.raises(httpx2.RemoteProtocolError):
        world.client.get(link)


@pytest.mark.parametrize("place", [40, -1])
def test_an_archive_that_was_tampered_with_is_never_given_out_whole(
    world: World, ines: Person, place: int
) -> None:
    reference = world.ready_export(ines, ARCHIVE)
    (key,) = list(world.store.keys(f"exports/{world.request_id_of(reference)}/"))
    sealed = bytearray(b"".join(world.store.read(key)))
    sealed[place] ^= 1
    upload = world.store.start(key, {})
    upload.part(bytes(sealed))
    upload.complete()
    link = granted(world, ines, reference)

    try:
        answer = world.client.get(link)
    except httpx2.RemoteProtocolError:
        return
    assert answer.status_code == 500
    assert b"an archive" not in answer.content


def test_one_archive_does_not_open_in_the_place_of_another(world: World, ines: Person) -> None:
    mine = world.ready_export(ines, b"mine")
    theirs = world.ready_export(world.person(), b"theirs")
    (mine_key,) = list(world.store.keys(f"exports/{world.request_id_of(mine)}/"))
    (their_key,) = list(world.store.keys(f"exports/{world.request_id_of(theirs)}/"))
    upload = world.store.start(mine_key, {})
    upload.part(b"".join(world.store.read(their_key)))
    upload.complete()

    answer = world.client.get(granted(world, ines, mine))

    assert answer.status_code == 500
    assert b"theirs" not in answer.content


def test_a_keyring_that_is_down_is_not_the_end_of_a_link(world: World, ines: Person) -> None:
    link = granted(world, ines, world.ready_export(ines, b"archive"))

    for failure in (VaultUnavailable("TIMED_OUT"), VaultRefused("RATE_LIMITED")):

        def down(failure: Exception = failure) -> None:
            raise failure

        world.keyring.fault = down
        answer = world.client.get(link)
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    world.keyring.fault = lambda: None

    assert world.client.get(link).content == b"archive"


def test_after_the_keys_are_destroyed_the_link_is_gone(world: World, ines: Person) -> None:
    reference = world.ready_export(ines, b"archive")
    link = granted(world, ines, reference)

    world.keyring.destroy_request(world.subject_ref(ines), world.request_id_of(reference), ())
    answer = world.client.get(link)

    assert (answer.status_code, answer.json()["code"]) == (410, "GONE_GDPR_EXPORT")

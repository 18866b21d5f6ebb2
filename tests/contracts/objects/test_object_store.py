"""What every object store does, in memory or over S3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from plumbing.objects import (
    NO_SUCH_KEY,
    PART_BYTES_MIN,
    MemoryObjects,
    ObjectFacts,
    ObjectStore,
    StoreRefused,
)
from tests.support.waiting import until


def put(store: ObjectStore, key: str, *pieces: bytes) -> ObjectFacts:
    upload = store.start(key, {})
    for piece in pieces:
        upload.part(piece)
    return upload.complete()


def test_an_object_comes_back_as_it_went_in(store: ObjectStore, prefix: str) -> None:
    facts = put(store, f"{prefix}letter", b"dear ", b"", b"reader")

    assert b"".join(store.read(f"{prefix}letter")) == b"dear reader"
    assert facts.size == 11
    assert facts.sha256 == hashlib.sha256(b"dear reader").hexdigest()
    assert facts.etag


def test_pieces_of_any_length_make_one_object_of_several_parts(
    store: ObjectStore, prefix: str
) -> None:
    pieces = [bytes([number]) * length for number, length in enumerate((1, PART_BYTES_MIN * 2, 77))]

    facts = put(store, f"{prefix}big", *pieces)

    whole = b"".join(pieces)
    assert facts.size == len(whole)
    assert facts.sha256 == hashlib.sha256(whole).hexdigest()
    assert b"".join(store.read(f"{prefix}big")) == whole


def test_a_whole_number_of_parts_leaves_no_empty_one(store: ObjectStore, prefix: str) -> None:
    put(store, f"{prefix}even", b"x" * PART_BYTES_MIN * 2)

    assert sum(map(len, store.read(f"{prefix}even"))) == PART_BYTES_MIN * 2


def test_an_object_may_be_empty(store: ObjectStore, prefix: str) -> None:
    put(store, f"{prefix}nothing")

    facts = store.head(f"{prefix}nothing")
    assert facts is not None
    assert facts.size == 0
    assert b"".join(store.read(f"{prefix}nothing")) == b""


def test_head_says_size_etag_and_metadata_and_no_wrong_digest(
    store: ObjectStore, prefix: str
) -> None:
    upload = store.start(f"{prefix}facts", {"order": "o-1"})
    upload.part(b"12345")
    completed = upload.complete()

    facts = store.head(f"{prefix}facts")

    assert facts is not None
    assert (facts.size, facts.etag) == (5, completed.etag)
    assert facts.metadata == {"order": "o-1"}
    assert facts.sha256 in {None, hashlib.sha256(b"12345").hexdigest()}


def test_head_of_an_object_in_parts_claims_no_plain_digest_it_does_not_have(
    store: ObjectStore, prefix: str
) -> None:
    completed = put(store, f"{prefix}parts", b"x" * PART_BYTES_MIN, b"y")

    facts = store.head(f"{prefix}parts")

    assert facts is not None
    assert facts.sha256 in {None, completed.sha256}


def test_a_missing_object_has_no_facts_and_cannot_be_read(store: ObjectStore, prefix: str) -> None:
    assert store.head(f"{prefix}missing") is None
    with pytest.raises(StoreRefused) as refused:
        list(store.read(f"{prefix}missing"))
    assert refused.value.code == NO_SUCH_KEY


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (0, 4, b"0123"),
        (3, 4, b"3"),
        (9, 99, b"9"),
        (10, None, b""),
        (50, 60, b""),
        (4, 4, b""),
    ],
)
def test_a_range_includes_its_start_and_not_its_end(
    store: ObjectStore, prefix: str, start: int, end: int | None, expected: bytes
) -> None:
    put(store, f"{prefix}digits", b"0123456789")

    assert b"".join(store.read(f"{prefix}digits", start, end)) == expected


def test_an_object_is_invisible_until_it_is_complete(store: ObjectStore, prefix: str) -> None:
    upload = store.start(f"{prefix}slow", {})
    upload.part(b"x" * PART_BYTES_MIN)

    assert store.head(f"{prefix}slow") is None
    assert list(store.keys(prefix)) == []

    upload.complete()
    assert list(store.keys(prefix)) == [f"{prefix}slow"]


def test_an_aborted_upload_leaves_nothing_behind(store: ObjectStore, prefix: str) -> None:
    upload = store.start(f"{prefix}given-up", {})
    upload.part(b"x" * PART_BYTES_MIN)

    upload.abort()
    upload.abort()

    assert store.head(f"{prefix}given-up") is None
    assert list(store.uploads(prefix)) == []


def test_aborting_a_completed_upload_takes_nothing_away(store: ObjectStore, prefix: str) -> None:
    upload = store.start(f"{prefix}kept", {})
    upload.part(b"x" * PART_BYTES_MIN)
    upload.complete()

    upload.abort()

    assert store.head(f"{prefix}kept") is not None


def test_a_sweeper_finds_and_ends_the_upload_of_a_process_that_died(
    store: ObjectStore, prefix: str
) -> None:
    store.start(f"{prefix}orphan", {}).part(b"x" * PART_BYTES_MIN)

    [pending] = store.uploads(prefix)
    assert pending.key == f"{prefix}orphan"
    assert pending.started_at.tzinfo is not None
    store.abort_upload(pending.key, pending.upload_id)

    assert list(store.uploads(prefix)) == []


def test_a_swept_upload_cannot_be_completed(store: ObjectStore, prefix: str) -> None:
    upload = store.start(f"{prefix}swept", {})
    upload.part(b"x" * PART_BYTES_MIN)
    [pending] = store.uploads(prefix)
    store.abort_upload(pending.key, pending.upload_id)

    with pytest.raises(StoreRefused):
        upload.complete()
    assert store.head(f"{prefix}swept") is None


def test_aborting_an_unknown_upload_is_done_already(store: ObjectStore, prefix: str) -> None:
    store.abort_upload(f"{prefix}never", "00000000-0000-0000-0000-000000000000")


def test_a_later_object_replaces_an_earlier_one(store: ObjectStore, prefix: str) -> None:
    put(store, f"{prefix}same", b"old")
    put(store, f"{prefix}same", b"new")

    assert b"".join(store.read(f"{prefix}same")) == b"new"


def test_deleting_twice_is_deleting(store: ObjectStore, prefix: str) -> None:
    put(store, f"{prefix}gone", b"x")

    store.delete(f"{prefix}gone")
    store.delete(f"{prefix}gone")

    assert store.head(f"{prefix}gone") is None


def test_keys_are_those_of_the_prefix_in_order(store: ObjectStore, prefix: str) -> None:
    for name in ("b", "a/2", "a/1", "ä b+%"):
        put(store, prefix + name, b"x")
    put(store, f"other-{prefix}", b"x")

    assert list(store.keys(prefix)) == [prefix + name for name in ("a/1", "a/2", "b", "ä b+%")]


def test_a_presigned_url_gives_the_object_to_someone_without_credentials(
    store: ObjectStore,
    prefix: str,
    browser: Callable[[str], tuple[bytes, str] | None],
) -> None:
    put(store, f"{prefix}archive", b"PK")

    url = store.presign(f"{prefix}archive", timedelta(minutes=5), "EXP-2026-00042.zip")

    given = browser(url)
    assert given is not None
    content, named = given
    assert content == b"PK"
    assert "EXP-2026-00042.zip" in named


def test_a_presigned_url_of_a_deleted_object_gives_nothing(
    store: ObjectStore,
    prefix: str,
    browser: Callable[[str], tuple[bytes, str] | None],
) -> None:
    put(store, f"{prefix}removed", b"PK")
    url = store.presign(f"{prefix}removed", timedelta(minutes=5), "removed.zip")

    store.delete(f"{prefix}removed")

    assert browser(url) is None


def test_a_presigned_url_ends_with_its_time(
    store: ObjectStore,
    prefix: str,
    browser: Callable[[str], tuple[bytes, str] | None],
) -> None:
    put(store, f"{prefix}short", b"PK")

    url = store.presign(f"{prefix}short", timedelta(seconds=1), "short.zip")

    until(lambda: browser(url) is None, 10)


def test_an_ended_upload_takes_no_more(store: ObjectStore, prefix: str) -> None:
    upload = store.start(f"{prefix}ended", {})
    upload.complete()

    with pytest.raises(AssertionError):
        upload.part(b"more")


def test_the_memory_store_fails_where_a_test_tells_it_to() -> None:
    def broken(operation: str) -> None:
        if operation == "complete":
            raise StoreRefused("QuotaExceeded")

    store = MemoryObjects(fault=broken)
    with pytest.raises(StoreRefused):
        store.start("x", {}).complete()

"""A real S3 server behind a proxy that breaks things: retries end well or end as the right error."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from plumbing.config import Secret
from plumbing.objects import (
    NO_SUCH_KEY,
    PART_BYTES_MIN,
    S3Location,
    S3Objects,
    StoreRefused,
    StoreUnavailable,
)
from plumbing.retries import IMPATIENT
from tests.contracts.objects.faulty_proxy import (
    INTERNAL_ERROR,
    Faults,
    cut,
    faulty_proxy,
    lost,
    reset,
    status,
)

PART = b"p" * PART_BYTES_MIN


def is_complete(request: str) -> bool:
    return request.startswith("POST") and "uploadId=" in request


def is_part(request: str) -> bool:
    return request.startswith("PUT") and "partNumber=" in request


def is_get(request: str) -> bool:
    return request.startswith("GET")


@pytest.fixture
def faults(s3_location: S3Location) -> Iterator[Faults]:
    with faulty_proxy(s3_location.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(s3_location: S3Location, faults: Faults) -> S3Objects:
    location = dataclasses.replace(s3_location, endpoint=faults.url)
    return S3Objects(location, part_bytes=PART_BYTES_MIN, patience=IMPATIENT)


@pytest.mark.parametrize("fault", [status(503), status(500, INTERNAL_ERROR), reset, lost])
def test_a_part_is_sent_again_when_the_server_falters(
    store: S3Objects, faults: Faults, prefix: str, fault: object
) -> None:
    faults.on(is_part, fault, times=2)  # type: ignore[arg-type]
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)
    upload.part(b"tail")
    upload.complete()

    assert b"".join(store.read(f"{prefix}object")) == PART + b"tail"


def test_retries_are_bounded(store: S3Objects, faults: Faults, prefix: str) -> None:
    faults.on(is_part, status(503), times=100)

    with pytest.raises(StoreUnavailable):
        store.start(f"{prefix}object", {}).part(PART)

    assert sum(map(is_part, faults.seen)) == IMPATIENT.attempts


def test_a_completion_that_answers_200_with_an_error_is_a_failure(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    faults.on(is_complete, status(200, INTERNAL_ERROR), times=100)
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)

    with pytest.raises(StoreUnavailable):
        upload.complete()

    assert store.head(f"{prefix}object") is None


def test_a_completion_that_answers_200_with_nothing_is_a_failure(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    faults.on(is_complete, status(200, b""), times=100)
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)

    with pytest.raises(StoreUnavailable):
        upload.complete()


def test_a_completion_that_failed_once_is_tried_again(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    faults.on(is_complete, status(200, INTERNAL_ERROR))
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)

    assert upload.complete().size == len(PART)
    assert b"".join(store.read(f"{prefix}object")) == PART


def test_a_completion_whose_answer_was_lost_is_recognised(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    no_such_upload = b"<Error><Code>NoSuchUpload</Code></Error>"
    faults.on(is_complete, lost)
    # AWS forgets an upload once it is completed; s3proxy remembers it.
    faults.on(is_complete, status(404, no_such_upload))
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)

    assert upload.complete().size == len(PART)


def test_somebody_elses_older_object_is_not_taken_for_ours(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    older = store.start(f"{prefix}object", {})
    older.part(PART)
    older.complete()
    faults.on(is_complete, reset)
    faults.on(is_complete, status(404, b"<Error><Code>NoSuchUpload</Code></Error>"))
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)

    with pytest.raises(StoreRefused):
        upload.complete()


def test_an_uncertain_completion_may_be_asked_for_again(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    faults.on(is_complete, status(503), times=IMPATIENT.attempts)
    upload = store.start(f"{prefix}object", {})
    upload.part(PART)
    upload.part(b"tail")
    with pytest.raises(StoreUnavailable):
        upload.complete()

    assert upload.complete().size == len(PART) + 4
    assert b"".join(store.read(f"{prefix}object")) == PART + b"tail"


def test_reading_goes_on_where_the_connection_broke(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    content = bytes(range(256)) * 8192
    upload = store.start(f"{prefix}object", {})
    upload.part(content)
    upload.complete()
    faults.on(is_get, cut(700_000))
    faults.on(is_get, cut(300_000))
    faults.on(is_get, reset)

    assert b"".join(store.read(f"{prefix}object")) == content
    assert b"".join(store.read(f"{prefix}object", 10, 1_500_000)) == content[10:1_500_000]


def test_two_halves_of_two_objects_are_never_read_as_one(
    store: S3Objects, faults: Faults, prefix: str
) -> None:
    for content in (b"a" * 1_000_000, b"b" * 1_000_000):
        upload = store.start(f"{prefix}object", {})
        upload.part(content)
        upload.complete()
        if content[:1] == b"a":
            faults.on(is_get, cut(600_000))
            pieces = store.read(f"{prefix}object")
            next(pieces)

    with pytest.raises(StoreRefused):
        list(pieces)


def test_a_wrong_key_is_a_refusal_and_is_not_tried_again(
    s3_location: S3Location, faults: Faults, prefix: str
) -> None:
    location = dataclasses.replace(
        s3_location, endpoint=faults.url, secret_key=Secret("not the key")
    )
    store = S3Objects(location, patience=IMPATIENT)

    with pytest.raises(StoreRefused):
        store.delete(f"{prefix}object")

    assert len(faults.seen) == 1


def test_a_store_that_is_not_there_is_unavailable(s3_location: S3Location, prefix: str) -> None:
    location = dataclasses.replace(s3_location, endpoint="http://127.0.0.1:9")
    store = S3Objects(location, patience=IMPATIENT)

    with pytest.raises(StoreUnavailable):
        store.head(f"{prefix}object")


def test_a_missing_object_is_asked_for_once(store: S3Objects, faults: Faults, prefix: str) -> None:
    with pytest.raises(StoreRefused) as refused:
        list(store.read(f"{prefix}missing"))

    assert refused.value.code == NO_SUCH_KEY
    assert len(faults.seen) == 1


def test_an_existing_bucket_is_as_good_as_a_new_one(store: S3Objects) -> None:
    store.ensure_bucket()
    store.ensure_bucket()


def test_neither_location_nor_errors_show_the_key(s3_location: S3Location) -> None:
    assert s3_location.secret_key.reveal() not in repr(s3_location)

"""The two object stores that must behave alike."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import httpx2
import pytest

from plumbing.config import Secret
from plumbing.objects import MemoryObjects, ObjectStore, S3Location, S3Objects
from plumbing.objects.protocol import PART_BYTES_MIN
from plumbing.retries import IMPATIENT

_numbers = itertools.count(1)


@pytest.fixture
def prefix() -> str:
    """Tests share a bucket; each keeps to a folder of its own."""
    return f"contract-{next(_numbers)}/"


@pytest.fixture
def s3_location(request: pytest.FixtureRequest) -> S3Location:
    endpoint = request.getfixturevalue("s3_endpoint")
    return S3Location(
        endpoint=endpoint.s3_url,
        bucket=endpoint.s3_bucket,
        access_key=endpoint.s3_key,
        secret_key=Secret(endpoint.s3_secret),
    )


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects(part_bytes=PART_BYTES_MIN)
    location = request.getfixturevalue("s3_location")
    return S3Objects(location, part_bytes=PART_BYTES_MIN, patience=IMPATIENT)


@pytest.fixture
def browser(store: ObjectStore) -> Callable[[str], tuple[bytes, str] | None]:
    """What somebody without credentials gets for a URL: content and file name, or nothing."""
    if isinstance(store, MemoryObjects):
        return store.opened

    def opened(url: str) -> tuple[bytes, str] | None:
        answer = httpx2.get(url)
        if answer.status_code != 200:
            return None
        return answer.content, answer.headers["content-disposition"]

    return opened

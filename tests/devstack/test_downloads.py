"""The jars: fetched once, checked always, never half kept."""

from __future__ import annotations

import errno
import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from devstack.downloads import Cache, Jar, locked
from devstack.launcher import StackError, no_disk

FIRST, SECOND = b"first jar" * 1000, b"second jar" * 1000


def jar(path: str, content: bytes) -> Jar:
    return Jar(path, hashlib.sha256(content).hexdigest())


class Mirror(ThreadingHTTPServer):
    """A Maven repository on this machine that counts requests and can break off in the middle."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {"a/first.jar": FIRST, "b/second.jar": SECOND}
        self.broken_off: set[str] = set()
        self.asked: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.server.asked[path] += 1
        if path not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half] if path in self.server.broken_off else content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(mirror: Mirror, tmp_path: Path) -> Cache:
    return Cache(folder=tmp_path / "cache", maven_url=mirror.url)


JARS = (jar("a/first.jar", FIRST), jar("b/second.jar", SECOND))


def everything_in(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


def test_jars_arrive_whole_and_are_found_where_the_cache_says(cache: Cache) -> None:
    places = cache.fetch(JARS)
    assert [place.read_bytes() for place in places] == [FIRST, SECOND]


def test_a_second_run_downloads_nothing(cache: Cache, mirror: Mirror) -> None:
    cache.fetch(JARS)
    mirror.asked.clear()
    cache.fetch(JARS)
    assert not mirror.asked


def test_a_file_with_the_wrong_checksum_is_refused_and_not_kept(
    cache: Cache, mirror: Mirror
) -> None:
    mirror.files["a/first.jar"] = b"something else"
    with pytest.raises(StackError) as refused:
        cache.fetch(JARS)
    assert refused.value.code == "wrong_checksum"
    assert "a/first.jar" in refused.value.sentence
    assert "first.jar" not in everything_in(cache.folder)


def test_a_download_that_breaks_off_is_tried_again_then_told_and_leaves_no_half_file(
    cache: Cache, mirror: Mirror
) -> None:
    mirror.broken_off.add("a/first.jar")
    with pytest.raises(StackError) as told:
        cache.fetch(JARS)
    assert told.value.code == "broken_download"
    assert "run the command again" in told.value.next_step
    assert mirror.asked["a/first.jar"] > 1
    assert everything_in(cache.folder) <= {"second.jar", "lock"}


def test_the_next_run_fetches_only_what_is_missing(cache: Cache, mirror: Mirror) -> None:
    cache.fetch(JARS[1:])
    mirror.broken_off.add("a/first.jar")
    with pytest.raises(StackError):
        cache.fetch(JARS)
    mirror.broken_off.clear()
    mirror.asked.clear()
    cache.fetch(JARS)
    assert dict(mirror.asked) == {"a/first.jar": 1}


def test_what_a_killed_run_left_half_is_never_taken_for_a_jar(cache: Cache) -> None:
    half = cache.place(JARS[0])
    half.parent.mkdir(parents=True)
    half.with_name("first.jar.part").write_bytes(FIRST[:10])
    assert cache.fetch(JARS)[0].read_bytes() == FIRST
    assert "first.jar.part" not in everything_in(cache.folder)


def test_a_jar_that_was_damaged_on_disk_is_fetched_again(cache: Cache) -> None:
    damaged = cache.fetch(JARS)[0]
    damaged.write_bytes(b"damaged")
    assert cache.missing(JARS) == JARS[:1]
    assert cache.fetch(JARS)[0].read_bytes() == FIRST


def test_an_unreachable_mirror_is_a_broken_download(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(StackError) as told:
            Cache(folder=tmp_path, maven_url=f"http://127.0.0.1:{port}").fetch(JARS[:1])
    assert told.value.code == "broken_download"


def test_a_file_that_the_mirror_does_not_have_is_told_without_asking_again(
    cache: Cache, mirror: Mirror
) -> None:
    with pytest.raises(StackError) as told:
        cache.fetch((jar("c/gone.jar", b"was here"),))
    assert "(the server answered 404)" in told.value.sentence
    assert mirror.asked["c/gone.jar"] == 1


def test_two_runs_at_once_fetch_each_jar_once(cache: Cache, mirror: Mirror) -> None:
    runs = [threading.Thread(target=cache.fetch, args=(JARS,)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert dict(mirror.asked) == {"a/first.jar": 1, "b/second.jar": 1}


def test_a_cache_that_cannot_be_written_names_the_folder_and_the_variable(
    mirror: Mirror, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError) as told:
        Cache(folder=tmp_path / "file" / "cache", maven_url=mirror.url).fetch(JARS)
    assert told.value.code == "not_writable"
    assert "HABEAS_CACHE" in told.value.next_step


def test_a_full_disk_is_called_a_full_disk() -> None:
    told = no_disk("/somewhere", OSError(errno.ENOSPC, "No space left on device"))
    assert (told.code, told.sentence) == ("no_disk", "The disk that holds /somewhere is full.")


def test_the_lock_file_names_every_jar_once_with_a_checksum() -> None:
    jars = locked("kafka") + locked("s3proxy")
    assert len({one.path for one in jars}) == len(jars) > 90
    assert all(len(one.sha256) == 64 for one in jars)

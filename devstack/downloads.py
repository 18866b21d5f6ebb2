"""Fetches the stack's jars once, checks every byte, and keeps them in a cache that runs share."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import stamina

from devstack.launcher import StackError, no_disk

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
LOCK_FILE = Path(__file__).with_name("lock.json")
AT_ONCE = 8
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    path: str
    sha256: str


def locked(part: str) -> tuple[Jar, ...]:
    """The jars of one part ("kafka", "s3proxy") as lock.json names them."""
    lock = json.loads(LOCK_FILE.read_text(encoding="utf-8"))
    return tuple(Jar(entry["path"], entry["sha256"]) for entry in lock[part])


class _BrokenOffError(Exception):
    """The server closed the connection before the whole file had come."""


# Narrower than OSError, which a full disk would be too.
_NETWORK = (
    _BrokenOffError,
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    folder: Path
    maven_url: str = MAVEN_CENTRAL
    say: Callable[[str], None] = lambda _sentence: None

    def place(self, jar: Jar) -> Path:
        return self.folder / "maven" / jar.path

    def missing(self, jars: tuple[Jar, ...]) -> tuple[Jar, ...]:
        """Those that are absent or are not, byte for byte, what the lock file says."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sound = list(pool.map(self._is_sound, jars))
        return tuple(jar for jar, whole in zip(jars, sound, strict=True) if not whole)

    def fetch(self, jars: tuple[Jar, ...]) -> tuple[Path, ...]:
        """Make sure that all of them are here and return where. A second call downloads nothing."""
        if self.missing(jars):
            try:
                with self._alone():
                    # Another run may have fetched them while this one waited.
                    self._download_all(self.missing(jars))
            except OSError as error:
                raise no_disk(self.folder, error) from error
        return tuple(self.place(jar) for jar in jars)

    def _is_sound(self, jar: Jar) -> bool:
        try:
            with self.place(jar).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
        except OSError:
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _download_all(self, jars: tuple[Jar, ...]) -> None:
        if not jars:
            return
        self.say(f"Downloading {len(jars)} files from {self.maven_url} (only this once).")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = [pool.submit(self._download, jar) for jar in jars]
            try:
                for future in futures:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _download(self, jar: Jar) -> None:
        target = self.place(jar)
        target.parent.mkdir(parents=True, exist_ok=True)
        # One name for ever: what a killed run left is overwritten, never taken for a whole file.
        part = target.with_name(f"{target.name}.part")
        try:
            self._receive(jar, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _receive(self, jar: Jar, part: Path) -> None:
        try:
            for attempt in stamina.retry_context(on=_may_pass, attempts=ATTEMPTS, wait_initial=0.2):
                with attempt:
                    found = self._copy(jar, part)
        except _NETWORK as error:
            raise StackError(
                "broken_download",
                f"{jar.path} did not arrive from {self.maven_url} ({_reason(error)}).",
                "Check the network (HTTPS_PROXY; HABEAS_MAVEN_URL for a mirror) and run the command "
                "again: what has arrived is kept.",
            ) from error
        if found != jar.sha256:
            raise StackError(
                "wrong_checksum",
                f"{jar.path} from {self.maven_url} is not the file that lock.json names.",
                "Nothing of it was kept. Use another mirror (HABEAS_MAVEN_URL); if Maven Central "
                "itself serves this, do not run it and report it.",
            )

    def _copy(self, jar: Jar, part: Path) -> str:
        url = f"{self.maven_url.rstrip('/')}/{jar.path}"
        try:
            answer = urllib.request.urlopen(url, timeout=60)  # noqa: S310  checked by SHA-256
        except urllib.error.HTTPError as error:
            # It is an open connection as well as an error.
            error.close()
            raise
        with answer, part.open("w+b") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
            expected = answer.headers.get("Content-Length")
            # Python's reader takes a connection that closes early for the end of the file.
            if expected is not None and file.tell() != int(expected):
                raise _BrokenOffError
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()


def _may_pass(error: Exception) -> bool:
    """Whether asking again makes sense: not after the server has said that it has no such file."""
    refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
    return isinstance(error, _NETWORK) and not refused


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    return type(error).__name__.strip("_")

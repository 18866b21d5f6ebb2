"""An object store in a dictionary, for tests and simulations; it passes the store's contract."""

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from plumbing.clock import Clock, SystemClock
from plumbing.objects.protocol import (
    NO_SUCH_KEY,
    PART_BYTES,
    ObjectFacts,
    PendingUpload,
    StoreRefused,
)

_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Object:
    content: bytes
    facts: ObjectFacts


def _no_fault(_operation: str) -> None:
    pass


class MemoryObjects:
    """`fault` is called with the name of each operation before it and may raise a StoreError."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        part_bytes: int = PART_BYTES,
        fault: Callable[[str], None] = _no_fault,
    ) -> None:
        self._clock = clock or SystemClock()
        self._part_bytes = part_bytes
        self.fault = fault
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self._uploads: dict[str, PendingUpload] = {}
        self._tickets: dict[str, tuple[str, datetime, str]] = {}

    def start(self, key: str, metadata: Mapping[str, str]) -> "MemoryUpload":
        self.fault("start")
        return MemoryUpload(self, key, dict(metadata))

    def head(self, key: str) -> ObjectFacts | None:
        self.fault("head")
        found = self._objects.get(key)
        return found.facts if found else None

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.fault("read")
        found = self._objects.get(key)
        if found is None:
            raise StoreRefused(NO_SUCH_KEY)
        content = memoryview(found.content)[start:end]
        for at in range(0, len(content), _PIECE_BYTES):
            self.fault("read.piece")
            yield bytes(content[at : at + _PIECE_BYTES])

    def delete(self, key: str) -> None:
        self.fault("delete")
        with self._lock:
            self._objects.pop(key, None)

    def keys(self, prefix: str) -> Iterator[str]:
        self.fault("keys")
        with self._lock:
            found = [key for key in self._objects if key.startswith(prefix)]
        yield from sorted(found, key=str.encode)

    def uploads(self, prefix: str) -> Iterator[PendingUpload]:
        self.fault("uploads")
        with self._lock:
            found = [upload for upload in self._uploads.values() if upload.key.startswith(prefix)]
        yield from sorted(found, key=lambda upload: (upload.key, upload.started_at))

    def abort_upload(self, key: str, upload_id: str) -> None:
        self.fault("abort_upload")
        with self._lock:
            upload = self._uploads.get(upload_id)
            if upload is not None and upload.key == key:
                del self._uploads[upload_id]

    def presign(self, key: str, ttl: timedelta, filename: str) -> str:
        self.fault("presign")
        ticket = secrets.token_urlsafe(16)
        with self._lock:
            self._tickets[ticket] = (key, self._clock.now() + ttl, filename)
        return f"memory://objects/?{urlencode({'ticket': ticket})}"

    def opened(self, url: str) -> tuple[bytes, str] | None:
        """What a browser gets for a presigned URL, now: content and file name, or nothing."""
        key, until, filename = self._tickets.get(url.rpartition("=")[2], ("", None, ""))
        found = self._objects.get(key)
        if found is None or until is None or self._clock.now() >= until:
            return None
        return found.content, filename

    def _begun(self, key: str) -> str:
        upload_id = secrets.token_hex(8)
        with self._lock:
            self._uploads[upload_id] = PendingUpload(
                key=key, upload_id=upload_id, started_at=self._clock.now()
            )
        return upload_id

    def _made_visible(self, key: str, found: _Object, upload_id: str | None) -> None:
        with self._lock:
            if upload_id is not None and self._uploads.pop(upload_id, None) is None:
                raise StoreRefused("NoSuchUpload")
            self._objects[key] = found


class MemoryUpload:
    def __init__(self, store: MemoryObjects, key: str, metadata: Mapping[str, str]) -> None:
        self._store = store
        self._key = key
        self._metadata = metadata
        self._content = bytearray()
        self._upload_id: str | None = None
        self._is_open = True

    def part(self, data: bytes) -> None:
        self._refuse_if_ended()
        self._store.fault("part")
        self._content += data
        # Like the real store: an upload becomes visible to a sweeper with its first full part.
        if self._upload_id is None and len(self._content) >= self._store._part_bytes:  # noqa: SLF001
            self._upload_id = self._store._begun(self._key)  # noqa: SLF001

    def complete(self) -> ObjectFacts:
        self._refuse_if_ended()
        self._store.fault("complete")
        content = bytes(self._content)
        digest = hashlib.sha256(content).hexdigest()
        facts = ObjectFacts(
            size=len(content), etag=f'"{digest[:32]}"', sha256=digest, metadata=self._metadata
        )
        self._store._made_visible(self._key, _Object(content, facts), self._upload_id)  # noqa: SLF001
        self._is_open = False
        return facts

    def abort(self) -> None:
        if self._is_open and self._upload_id is not None:
            self._store.abort_upload(self._key, self._upload_id)
        self._is_open = False

    def _refuse_if_ended(self) -> None:
        if not self._is_open:
            raise AssertionError("this upload has ended")

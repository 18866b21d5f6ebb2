"""An archive on its way into the object store, and what lies there under a request.

Rule 1: every sealing run has an object of its own, `exports/<request>/<run>/<order>`: a bundler
that was stopped and wakes up late cannot overwrite what its successor sealed.
Rule 2: what nobody names any more is swept; nothing is left after `sweep`.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from plumbing import telemetry
from plumbing.failpoints import fp
from plumbing.objects import ObjectStore, Upload
from services.bundler.archives import Sink

PIECE_BYTES: Final = 1024 * 1024
log = telemetry.get("bundler")


def prefix_of(request_id: str) -> str:
    """Everything that belongs to a request; the slash keeps its neighbours out."""
    return f"exports/{request_id}/"


def object_key(request_id: str, order_id: str, run_id: str) -> str:
    return f"{prefix_of(request_id)}{run_id}/{order_id}"


class Digesting:
    """Counts and sums what goes through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sha256 = hashlib.sha256()
        self.size = 0

    def write(self, octets: bytes) -> int:
        self._sha256.update(octets)
        self.size += len(octets)
        self._sink.write(octets)
        return len(octets)

    def flush(self) -> None:
        """Do nothing: whoever is behind decides when to send."""

    @property
    def sha256(self) -> bytes:
        return self._sha256.digest()


class Outlet:
    """Ciphertext in pieces of any size, out to an upload in larger ones."""

    def __init__(self, upload: Upload, on_piece: Callable[[], None]) -> None:
        self._upload = upload
        self._on_piece = on_piece
        self._waiting = bytearray()

    def write(self, octets: bytes) -> None:
        self._waiting += octets
        if len(self._waiting) >= PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand on what waits."""
        self._on_piece()
        self._upload.part(bytes(self._waiting))
        self._waiting.clear()
        fp("bundler.part")


def stored_sha256(store: ObjectStore, key: str, on_piece: Callable[[], None]) -> bytes:
    """The digest of an object as the store gives it back."""
    digest = hashlib.sha256()
    for piece in store.read(key):
        on_piece()
        digest.update(piece)
    return digest.digest()


def abort_uploads(store: ObjectStore, request_id: str) -> None:
    """Abort what a run that is dead, or counts as dead, left half sent."""
    for upload in list(store.uploads(prefix_of(request_id))):
        store.abort_upload(upload.key, upload.upload_id)
        log.info("upload_aborted", request_id=request_id, upload_id=upload.upload_id)


def sweep(store: ObjectStore, request_id: str, keep: Iterable[str] = ()) -> bool:
    """Remove everything of a request but the named objects; whether nothing else is left."""
    kept = set(keep)
    abort_uploads(store, request_id)
    for key in list(store.keys(prefix_of(request_id))):
        if key not in kept:
            store.delete(key)
            log.info("object_removed", request_id=request_id)
    left = set(store.keys(prefix_of(request_id))) - kept
    return not left and not list(store.uploads(prefix_of(request_id)))

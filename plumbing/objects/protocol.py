"""What this system asks of an object store, and how it may fail. No names or layout of objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

NO_SUCH_KEY: Final = "NoSuchKey"
PART_BYTES_MIN: Final = 5 * 1024 * 1024  # S3's own rule for every part but the last.
PART_BYTES: Final = 8 * 1024 * 1024


class StoreError(Exception):
    """Base of the two ways to fail; `code` is the store's own word for the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class StoreUnavailable(StoreError):  # noqa: N818 -- Says what is, like all of ours.
    """The store did not do it now: no connection, 5xx, slow-down. Later it may; retries are spent."""


class StoreRefused(StoreError):  # noqa: N818
    """The store will not do it, now or later: missing object, no permission, wrong digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """What a store says about one whole object.

    `sha256` is the plain digest of all its bytes in hex, or None where the store does not know it:
    of an object sent in parts S3 keeps only a digest of digests.
    """

    size: int
    etag: str
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUpload:
    """An upload that has sent something and was neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime


class Upload(Protocol):
    """One object on its way. The object is invisible until `complete` and whole from then on."""

    def part(self, data: bytes) -> None:
        """Append bytes of any length; may block while a full part is sent.

        Raises:
            StoreUnavailable: the part could not be sent; `abort`, and begin a new upload.
            StoreRefused: it never will be.
        """
        ...

    def complete(self) -> ObjectFacts:
        """Make the object visible, replacing an older one of that key. `sha256` is always given.

        Raises:
            StoreUnavailable: not known whether it is visible. Uploading again is safe.
            StoreRefused: it is not.
        """
        ...

    def abort(self) -> None:
        """Forget the parts sent so far. Does nothing after `complete` or a second time."""
        ...


class ObjectStore(Protocol):
    """A bucket. Every call may block on the network and raise one of the two `StoreError`s."""

    def start(self, key: str, metadata: Mapping[str, str]) -> Upload:
        """Begin an object. Metadata is ASCII under lower-case names; whoever sees the bucket reads it."""
        ...

    def head(self, key: str) -> ObjectFacts | None:
        """The facts of a visible object, or None."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in pieces; nothing past the end.

        Lazy: errors come with the first piece. All pieces are of one and the same object; if it is
        replaced meanwhile, StoreRefused. A missing one: StoreRefused(NO_SUCH_KEY).
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object. A missing one is as good as removed."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """The visible keys beginning with `prefix`, in order of their UTF-8 bytes."""
        ...

    def uploads(self, prefix: str) -> Iterator[PendingUpload]:
        """Uploads that occupy space under `prefix`; one that has not filled a part may be absent."""
        ...

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort somebody's upload and check that its parts are gone. Unknown is as good as gone."""
        ...

    def presign(self, key: str, ttl: timedelta, filename: str) -> str:
        """A URL that gives the object to anyone for `ttl`, to be saved as `filename`."""
        ...

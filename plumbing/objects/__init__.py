"""The object store's room: `protocol` says what is asked, `memory` and `s3` do it."""

from plumbing.objects.memory import MemoryObjects
from plumbing.objects.protocol import (
    NO_SUCH_KEY,
    PART_BYTES,
    PART_BYTES_MIN,
    ObjectFacts,
    ObjectStore,
    PendingUpload,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    Upload,
)
from plumbing.objects.s3 import S3Objects
from plumbing.objects.s3_client import S3Location

__all__ = [
    "NO_SUCH_KEY",
    "PART_BYTES",
    "PART_BYTES_MIN",
    "MemoryObjects",
    "ObjectFacts",
    "ObjectStore",
    "PendingUpload",
    "S3Location",
    "S3Objects",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "Upload",
]

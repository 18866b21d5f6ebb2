"""The object store over S3's protocol, by boto3: any store that speaks it, addressed by path.

It does not set lifecycle rules or versioning: not every store has them, and removal is our own act.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from plumbing.objects.protocol import (
    PART_BYTES,
    PART_BYTES_MIN,
    ObjectFacts,
    PendingUpload,
    StoreRefused,
    StoreUnavailable,
)
from plumbing.objects.s3_client import S3Location, client
from plumbing.objects.s3_errors import BROKEN_OFF, in_store_words
from plumbing.objects.s3_upload import S3Upload, head_object
from plumbing.retries import Patience, retrying

_PIECE_BYTES = 256 * 1024
_BROKEN_OFF_MAX = 5
_ABORTS_MAX = 3


class S3Objects:
    def __init__(
        self,
        location: S3Location,
        *,
        patience: Patience | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        if part_bytes < PART_BYTES_MIN:
            raise ValueError(f"S3 takes no parts below {PART_BYTES_MIN} bytes")
        self._location = location
        self._bucket = location.bucket
        self._patience = patience or Patience()
        self._part_bytes = part_bytes
        self._client = client(location, location.endpoint)
        self._public = client(location, location.public_endpoint or location.endpoint)

    def ensure_bucket(self) -> None:
        """Create the bucket if it is not ours already."""
        try:
            with in_store_words():
                self._client.create_bucket(Bucket=self._bucket)
        except StoreRefused as error:
            if error.code != "BucketAlreadyOwnedByYou":
                raise

    def start(self, key: str, metadata: Mapping[str, str]) -> S3Upload:
        return S3Upload(
            self._client,
            self._location,
            key,
            metadata=metadata,
            part_bytes=self._part_bytes,
            patience=self._patience,
        )

    def head(self, key: str) -> ObjectFacts | None:
        for attempt in retrying(StoreUnavailable, self._patience):
            with attempt:
                return head_object(self._client, self._bucket, key)
        raise AssertionError("retrying() ends by returning or raising")

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        at, etag, broken_off = start, "", 0
        while end is None or at < end:
            answer = self._open(key, at, end, etag)
            if answer is None:
                return
            etag = answer["ETag"]
            body = answer["Body"]
            try:
                for piece in body.iter_chunks(_PIECE_BYTES):
                    at += len(piece)
                    yield piece
            except BROKEN_OFF as error:
                broken_off += 1
                if broken_off >= _BROKEN_OFF_MAX:
                    raise StoreUnavailable("BrokenOff") from error
            else:
                return
            finally:
                body.close()

    def delete(self, key: str) -> None:
        for attempt in retrying(StoreUnavailable, self._patience):
            with attempt, in_store_words():
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def keys(self, prefix: str) -> Iterator[str]:
        token: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=prefix, **token)
            yield from (entry["Key"] for entry in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def uploads(self, prefix: str) -> Iterator[PendingUpload]:
        marker: dict[str, Any] = {}
        while True:
            page = self._call("list_multipart_uploads", Prefix=prefix, **marker)
            for entry in page.get("Uploads", ()):
                yield PendingUpload(
                    key=entry["Key"], upload_id=entry["UploadId"], started_at=entry["Initiated"]
                )
            if not page.get("IsTruncated"):
                return
            marker = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def abort_upload(self, key: str, upload_id: str) -> None:
        # S3 documents that a part in flight may outlive an abort: "verify that ... ListParts
        # returns an empty list", and abort again if not.
        upload = {"Key": key, "UploadId": upload_id}
        for _ in range(_ABORTS_MAX):
            try:
                self._call("abort_multipart_upload", **upload)
                if not self._call("list_parts", **upload).get("Parts"):
                    return
            except StoreRefused as error:
                if error.code == "NoSuchUpload":
                    return
                raise
        raise StoreUnavailable("PartsLeft")

    def presign(self, key: str, ttl: timedelta, filename: str) -> str:
        url: str = self._public.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                # RFC 6266: the encoded form only, so that no name can break out of the header.
                "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(filename, '')}",
                "ResponseCacheControl": "no-store",
            },
            ExpiresIn=int(ttl.total_seconds()),
        )
        return url

    def _call(self, operation: str, **arguments: Any) -> Any:
        for attempt in retrying(StoreUnavailable, self._patience):
            with attempt, in_store_words():
                return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        raise AssertionError("retrying() ends by returning or raising")

    def _open(self, key: str, at: int, end: int | None, etag: str) -> Any | None:
        """The answer to one GET from `at` on, or None if that is past the object's end."""
        arguments: dict[str, Any] = {"Key": key}
        if at or end is not None:
            arguments["Range"] = f"bytes={at}-{'' if end is None else end - 1}"
        if etag:
            arguments["IfMatch"] = etag
        try:
            return self._call("get_object", **arguments)
        except StoreRefused as error:
            if error.code == "InvalidRange":
                return None
            raise

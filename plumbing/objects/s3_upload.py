"""One object on its way to S3: in one PUT if it stays small, in parts if it does not."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

from plumbing.objects.protocol import (
    NO_SUCH_KEY,
    ObjectFacts,
    StoreRefused,
    StoreUnavailable,
)
from plumbing.objects.s3_client import S3Location
from plumbing.objects.s3_errors import in_store_words
from plumbing.retries import Patience, retrying

# Tells our completed object from an older one under the same key, when an answer was lost.
_MARK: Final = "habeas-upload"


class S3Upload:
    """Holds at most one part in memory."""

    def __init__(
        self,
        client: Any,
        location: S3Location,
        key: str,
        *,
        metadata: Mapping[str, str],
        part_bytes: int,
        patience: Patience,
    ) -> None:
        self._client = client
        self._target = {"Bucket": location.bucket, "Key": key}
        self._checksums = location.sha256_checksums
        self._metadata = dict(metadata)
        self._mark = secrets.token_hex(8)
        self._part_bytes = part_bytes
        self._patience = patience
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._waiting = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._is_open = True

    def part(self, data: bytes) -> None:
        self._refuse_if_ended()
        self._digest.update(data)
        self._size += len(data)
        self._waiting += data
        while len(self._waiting) >= self._part_bytes:
            piece = bytes(memoryview(self._waiting)[: self._part_bytes])
            del self._waiting[: self._part_bytes]
            self._send(piece)

    def complete(self) -> ObjectFacts:
        self._refuse_if_ended()
        if self._upload_id is None:
            etag = self._put(bytes(self._waiting))
        else:
            if self._waiting:
                self._send(bytes(self._waiting))
                self._waiting.clear()
            etag = self._join()
        self._waiting.clear()
        self._is_open = False
        return ObjectFacts(
            size=self._size,
            etag=etag,
            sha256=self._digest.hexdigest(),
            metadata=self._metadata,
        )

    def abort(self) -> None:
        if self._is_open and self._upload_id is not None:
            try:
                self._call("abort_multipart_upload", UploadId=self._upload_id)
            except StoreRefused as error:
                if error.code != "NoSuchUpload":
                    raise
        self._waiting.clear()
        self._is_open = False

    def _put(self, content: bytes) -> str:
        answer = self._call(
            "put_object",
            Body=content,
            Metadata=self._marked(),
            **self._checksum(content),
        )
        return str(answer["ETag"])

    def _send(self, piece: bytes) -> None:
        if self._upload_id is None:
            algorithm = {"ChecksumAlgorithm": "SHA256"} if self._checksums else {}
            answer = self._call("create_multipart_upload", Metadata=self._marked(), **algorithm)
            self._upload_id = answer["UploadId"]
        number = len(self._parts) + 1
        checksum = self._checksum(piece)
        answer = self._call(
            "upload_part", UploadId=self._upload_id, PartNumber=number, Body=piece, **checksum
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})

    def _join(self) -> str:
        for attempt in retrying(StoreUnavailable, self._patience):
            with attempt:
                try:
                    return self._join_once()
                except StoreRefused as error:
                    if error.code != "NoSuchUpload":
                        raise
                    # An earlier try may have worked and its answer been lost.
                    return self._found_joined()
        raise AssertionError("retrying() ends by returning or raising")

    def _join_once(self) -> str:
        with in_store_words():
            answer = self._client.complete_multipart_upload(
                **self._target, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )
        if not answer.get("ETag"):
            # A 200 that names no object is not a success, whatever else it says.
            raise StoreUnavailable("NoETag")
        facts = head_object(self._client, self._target["Bucket"], self._target["Key"])
        if facts is None or facts.size != self._size:
            raise StoreUnavailable("NotWhole")
        return str(answer["ETag"])

    def _found_joined(self) -> str:
        answer = _head(self._client, self._target["Bucket"], self._target["Key"])
        if answer is None or answer["Metadata"].get(_MARK) != self._mark:
            raise StoreRefused("NoSuchUpload")
        return str(answer["ETag"])

    def _marked(self) -> dict[str, str]:
        return {**self._metadata, _MARK: self._mark}

    def _checksum(self, content: bytes) -> dict[str, str]:
        if not self._checksums:
            return {}
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(content).digest()).decode()}

    def _call(self, operation: str, **arguments: Any) -> Any:
        for attempt in retrying(StoreUnavailable, self._patience):
            with attempt, in_store_words():
                return getattr(self._client, operation)(**self._target, **arguments)
        raise AssertionError("retrying() ends by returning or raising")

    def _refuse_if_ended(self) -> None:
        if not self._is_open:
            raise AssertionError("this upload has ended")


def head_object(client: Any, bucket: str, key: str) -> ObjectFacts | None:
    """The facts of one object; not tried again."""
    answer = _head(client, bucket, key)
    if answer is None:
        return None
    digest = answer.get("ChecksumSHA256", "")
    is_plain = bool(digest) and answer.get("ChecksumType") == "FULL_OBJECT"
    return ObjectFacts(
        size=answer["ContentLength"],
        etag=answer["ETag"],
        sha256=base64.b64decode(digest).hex() if is_plain else None,
        metadata={name: text for name, text in answer["Metadata"].items() if name != _MARK},
    )


def _head(client: Any, bucket: str, key: str) -> Any | None:
    try:
        with in_store_words():
            return client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except StoreRefused as error:
        if error.code == NO_SUCH_KEY:
            return None
        raise

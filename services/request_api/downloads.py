"""Archives on their way out: fetched sealed, opened while they stream, never whole in memory.

Rule 1: the grant is in the log before the first byte leaves. (T-17)
Rule 2: expiry is checked here and again by the keyring, by its own clock.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from logbook.following import Following
from logbook.sealing import ARCHIVE_KEY, Lease, archive_context
from plumbing.clock import Clock
from plumbing.objects import ObjectStore, StoreRefused, StoreUnavailable
from plumbing.vault import Opened, Vault, VaultRefused
from plumbing.web import Call, Problem
from proofs.chunked import Decryptor
from proofs.envelope import HEADER_BYTES
from services.request_api.answers import AnswerBook, GrantedDownload
from services.request_api.refusals import gone, unavailable

# What the keyring says where there is nothing to be had any more, as opposed to: not now.
_GONE: Final = frozenset({"ORDER_NOT_PENDING", "KEY_DESTROYED", "NOT_FOUND"})
_TOKEN: Final = re.compile(r"[0-9a-f]{64}")


class GrantEndedError(Exception):
    """The grant ran out while its archive was being read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    vault: Vault
    store: ObjectStore
    following: Following
    book: AnswerBook
    clock: Clock

    def fetch(self, call: Call) -> Response:
        grant = self._grant(str(call.path["token"]))
        lease = Lease(
            lambda: self.vault.open(grant_id=grant.grant_id, at=(grant.partition, grant.seq))
        )
        try:
            opened = lease.get()
        except VaultRefused as refused:
            if refused.code in _GONE:
                raise gone() from refused
            raise
        contents = self._contents(opened)
        body = self._plain(grant, contents, lease)
        digest = bytes.fromhex(contents["sha256"])
        return StreamingResponse(body, headers=_headers(contents, digest))

    def _grant(self, token: str) -> GrantedDownload:
        digest = hashlib.sha256(token.encode()).hexdigest()
        with self.following.lock:
            grant = self.book.grant(digest) if _TOKEN.fullmatch(token) else None
        if grant is None:
            raise Problem(404, "NOT_FOUND", "Download link not found")
        if self.clock.now() >= grant.until:
            raise gone()
        return grant

    @staticmethod
    def _contents(opened: Opened) -> Mapping[str, Any]:
        (contents,) = (value for value in opened.fields.values() if "sha256" in value)
        return contents

    def _plain(
        self, grant: GrantedDownload, contents: Mapping[str, Any], lease: Lease
    ) -> Iterator[bytes]:
        """The archive's bytes; the first piece is opened here, so that a failure is no archive."""
        key = lease.get().keys[ARCHIVE_KEY]
        object_key = str(contents["object_key"])
        context = archive_context(
            tenant_ref=grant.tenant_ref,
            subject_ref=grant.subject_ref,
            request_id=grant.request_id,
            order_id=object_key.rpartition("/")[2],
        )
        decryptor = Decryptor(key.key, context)
        try:
            sealed = iter(self.store.read(object_key, HEADER_BYTES))
            first = decryptor.update(next(sealed))
        except (StoreUnavailable, StoreRefused, StopIteration) as failure:
            raise unavailable("archive store", reads=True) from failure

        def stream() -> Iterator[bytes]:
            yield first
            for piece in sealed:
                # Neither a slow reader nor a long file outlives the grant, or a key's destruction:
                # the connection then breaks off, and the length says that something is missing.
                if self.clock.now() >= grant.until:
                    raise GrantEndedError
                lease.get()
                yield decryptor.update(piece)
            yield decryptor.finish()

        return stream()


def _headers(contents: Mapping[str, Any], digest: bytes) -> dict[str, str]:
    return {
        "Content-Type": str(contents["media_type"]),
        "Content-Length": str(contents["bytes"]),
        "Content-Disposition": f'attachment; filename="{contents["file_name"]}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

"""A seal order: from the extents it names to the archive that is stored, read back and reported.

Rule 1: nothing is reported as sealed before the object was read back and agrees with what was sent.
Rule 2: a failure is reported once nothing of this run is left, as far as the store can be reached;
what it hides is swept by the remove order that follows every failure.
Rule 3: a run that is no longer wanted ends without a word and removes only what is its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from logbook.desk import Desk, Task
from logbook.reporting import Reporter
from logbook.sealing import ARCHIVE_KEY, Lease, archive_context, fragment_context
from plumbing import telemetry
from plumbing.failpoints import fp
from plumbing.kafka import Producer
from plumbing.objects import (
    ObjectFacts,
    ObjectStore,
    StoreRefused,
    StoreUnavailable,
    Upload,
)
from plumbing.vault import Field, Opened, Purpose, Vault, VaultUnavailable
from proofs import envelope
from proofs.failures import Tampered
from proofs.keys import SigningKey
from proofs.streams import EncryptingWriter
from rights.orders import SealBundle, SourceExtent
from rights.references import derived_id
from rights.reports import ReportBundleSealed, bucket
from schemas.fragments import BadFragmentError, unpack
from services.bundler.archives import Archive, Package, archive_for
from services.bundler.assembling import Assembled, Assembly
from services.bundler.extents import ExtentGoneError, ExtentReader, ExtentUnsoundError, Readers
from services.bundler.manifest import contents, manifest
from services.bundler.spool import QuotaExceededError, Spool
from services.bundler.storing import (
    Digesting,
    Outlet,
    abort_uploads,
    object_key,
    stored_sha256,
)

SIGN_OF_LIFE_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.5
PAUSE_MAX_S: Final = 15.0
NO_SUCH_UPLOAD: Final = "NoSuchUpload"
T = TypeVar("T")
log = telemetry.get("bundler")


class NotWantedError(Exception):
    """The order is not pending any more, another run took it over, or the process is to end."""


class SealFailedError(Exception):
    """The archive cannot be made; `code` is what the request will say."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SourceGoneError(Exception):
    """A source's fragments are gone; it must be collected again."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a bundler works with."""

    desk: Desk
    producer: Producer
    reporter: Reporter
    readers: Readers
    vault: Vault
    store: ObjectStore
    signer: SigningKey
    spool: Path
    spool_bytes_max: int
    sources: tuple[str, ...]
    entropy: Callable[[int], bytes]
    # Waits for so many seconds, or until the process is to stop, and says which.
    pause: Callable[[float], bool]


class SealRun:
    """One try at a seal order. Use it once."""

    def __init__(self, shop: Workshop, task: Task, order: SealBundle) -> None:
        self._shop = shop
        self._order = order
        self._lease = Lease(
            lambda: shop.vault.open(order_id=order.order_id, at=(task.partition, task.seq))
        )
        self._archive: Archive = archive_for(order.package_format)
        self._key = object_key(order.request_id, order.order_id, shop.entropy(8).hex())
        self._chunks = sum(named.extent.chunks for named in order.extents)
        self._chunks_read = 0
        self._spoke_at_s = time.monotonic()

    def report(self) -> ReportBundleSealed:
        """Make the archive.

        Raises:
            NotWantedError, SealFailedError, SourceGoneError: and nothing of it is left, unless the
                store was out of reach.
            VaultRefused, BrokerError: it may be tried again.
        """
        shop, order = self._shop, self._order
        with _in_report_words(), Spool(shop.spool, shop.spool_bytes_max, shop.entropy) as spool:
            abort_uploads(shop.store, order.request_id)
            assembled = {named.source: self._assemble(named, spool) for named in order.extents}
            person = self._lent().fields[order.handles_vault_id]
            package = Package(
                manifest=manifest(order, person, assembled),
                parts=tuple(p for a in assembled.values() for s in a.sections for p in s.parts),
                spool=spool,
                signer=shop.signer,
            )
            return self._stored(package)

    def _assemble(self, named: SourceExtent, spool: Spool) -> Assembled:
        """First pass over one source's run."""
        source, extent, order = named.source, named.extent, self._order
        if self._shop.sources and source not in self._shop.sources:
            raise SealFailedError("SOURCE_UNKNOWN")
        assembly = Assembly(
            spool,
            source,
            extent,
            language=order.language,
            suffix=self._archive.rows_suffix,
        )
        reader = ExtentReader(self._shop.readers.of(source), self._still_wanted)
        try:
            for ordinal, value in enumerate(reader.fragments(source, extent)):
                is_last = ordinal == extent.chunks - 1
                context = fragment_context(
                    order, source=source, run_id=extent.run_id, ordinal=ordinal, is_last=is_last
                )
                key = self._lent().keys[source]
                assembly.take(*unpack(envelope.open_sealed(key.key, value, context)))
                self._chunks_read += 1
                self._show_progress(50 * self._chunks_read // self._chunks)
        except ExtentGoneError as gone:
            raise SourceGoneError(source) from gone
        return assembly.result()

    def _stored(self, package: Package) -> ReportBundleSealed:
        """Second pass: written, read back, and noted in the vault."""
        order = self._order
        upload = self._shop.store.start(self._key, {})
        fp("bundler.upload_started")
        try:
            plain = self._write(package, upload)
            self._still_wanted()
            sent = upload.complete()
            fp("bundler.completed")
            sha256 = self._checked(sent)
            fp("bundler.verified")
            contents_vault_id = self._noted(package, plain)
        except BaseException:
            self._give_up(upload)
            raise
        return ReportBundleSealed(
            request_id=order.request_id,
            order_id=order.order_id,
            object_key=self._key,
            ciphertext_sha256=sha256,
            size_bucket=bucket(sent.size),
            contents_vault_id=contents_vault_id,
            has_records=any(s["status"] != "EMPTY" for s in package.manifest["sections"]),
        )

    def _checked(self, sent: ObjectFacts) -> bytes:
        """The digest of what was sent, once the store has given back the same."""
        stored = stored_sha256(self._shop.store, self._key, self._still_wanted)
        if stored.hex() != sent.sha256:
            raise SealFailedError("STORE_DIFFERS")
        return stored

    def _write(self, package: Package, upload: Upload) -> Digesting:
        """The archive, sealed, into the upload; what it was before it was sealed."""
        order = self._order
        outlet = Outlet(upload, self._still_wanted)
        key = self._lent().keys[ARCHIVE_KEY]
        context = archive_context(
            tenant_ref=order.tenant_ref,
            subject_ref=order.subject_ref,
            request_id=order.request_id,
            order_id=order.order_id,
        )
        writer = EncryptingWriter(outlet, envelope.encrypting(key.key, key.key_id, context))
        plain = Digesting(writer)
        total = sum(self._archive.size_of(part) for part in package.parts) or 1
        written = 0
        for piece in self._archive.write(package, plain):
            written += piece
            self._show_progress(50 + 50 * min(written, total) // total)
        writer.finish()
        outlet.flush()
        return plain

    def _noted(self, package: Package, plain: Digesting) -> str:
        """Keep the table of contents where it can be deleted; its id in the vault."""
        order, sha256 = self._order, plain.sha256.hex()
        value: dict[str, Any] = {
            "reference": order.reference,
            "file_name": order.reference + self._archive.suffix,
            "media_type": self._archive.media_type,
            "bytes": plain.size,
            "sha256": sha256,
            "sections": contents(package.manifest["sections"]),
            "key_id": self._lent().keys[ARCHIVE_KEY].key_id.hex(),
            "object_key": self._key,
            "order_id": order.order_id,
        }
        # The id names this very object: a repeat by another run has another one to describe.
        put_id = derived_id("contents", self._key, sha256)
        row = {"contents": Field(Purpose.CONTENT, value)}
        vault_ids = self._patiently(
            lambda: self._shop.vault.put_for(
                order.subject_ref, order.request_id, row, put_id, order_id=order.order_id
            )
        )
        return vault_ids["contents"]

    def _give_up(self, upload: Upload) -> None:
        """Leave nothing of this run in the store; its key is its own, so nothing else can go."""
        try:
            upload.abort()
            self._shop.store.delete(self._key)
        except (StoreUnavailable, StoreRefused) as failure:
            log.warning("upload_left", order_id=self._order.order_id, error=failure)

    def _lent(self) -> Opened:
        return self._patiently(self._lease.get)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """An answer of the vault, waiting for it while the order is wanted: work done is kept."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return ask()
            except VaultUnavailable as failure:
                log.warning("keyring_unavailable", order_id=self._order.order_id, error=failure)
            if self._shop.pause(pause_s):
                raise NotWantedError
            self._still_wanted()
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _still_wanted(self) -> None:
        if self._shop.pause(0) or not self._shop.desk.is_pending(self._order):
            raise NotWantedError

    def _show_progress(self, percent: int) -> None:
        now_s = time.monotonic()
        if now_s - self._spoke_at_s >= SIGN_OF_LIFE_S:
            self._spoke_at_s = now_s
            self._still_wanted()
            self._shop.producer.send(self._shop.reporter.progress(self._order, "", percent))


@contextmanager
def _in_report_words() -> Iterator[None]:
    """What can go wrong, as what the request will say."""
    try:
        yield
    except QuotaExceededError as failure:
        raise SealFailedError("EXPORT_TOO_LARGE") from failure
    except (ExtentUnsoundError, BadFragmentError, Tampered) as failure:
        raise SealFailedError("FRAGMENTS_TAMPERED") from failure
    except StoreUnavailable as failure:
        raise SealFailedError("STORE_UNAVAILABLE") from failure
    except StoreRefused as failure:
        if failure.code == NO_SUCH_UPLOAD:
            # Another run aborted it, because it took over.
            raise NotWantedError from failure
        raise SealFailedError("STORE_REFUSED") from failure

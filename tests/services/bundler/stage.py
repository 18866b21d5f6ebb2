"""The same stage with a bundler on it: an object store in memory, a spool, a signing key."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from logbook.desk import Desk, Task
from logbook.sealing import archive_context
from plumbing.kafka import Outgoing
from plumbing.objects import MemoryObjects
from proofs import envelope
from proofs.keys import SigningKey
from rights.orders import Order, SealBundle
from rights.policies import PROFILES, PackageFormat
from schemas.topics import ORDERS_SEAL
from services.bundler.extents import Readers
from services.bundler.loop import Bundler
from services.bundler.sealing import SealRun, Workshop
from tests.services.collectors.stage import PATIENCE_S, Stage, billing, journal
from tests.support.log_writer import SOURCES
from tests.support.waiting import until

SIGNER = SigningKey(bytes(range(32)))
JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 40
PHOTOS = {"moods": {"u-17": [("me at home.jpg", "image/jpeg", JPEG), ("note", "x/../y", b"")]}}
ZIPPED = replace(PROFILES["member-portal"], sources=SOURCES)
AS_JSON = replace(PROFILES["workspace-admin"], sources=SOURCES)
assert ZIPPED.package_format is PackageFormat.ZIP


@dataclass
class BundlerStage(Stage):
    folder: Path = Path()
    store: Any = field(default_factory=lambda: MemoryObjects(part_bytes=64 * 1024))
    spool_bytes_max: int = 64 * 1024 * 1024
    stop_after: int | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            self.sources = {"journal": journal(photos=PHOTOS), "billing": billing()}
        super().__post_init__()
        self.pauses: list[float] = []
        self._desk: Desk | None = None

    def __exit__(self, *failure: object) -> None:
        if self._desk is not None:
            self._desk.close()
        super().__exit__(*failure)

    def pause(self, seconds: float) -> bool:
        if seconds:
            self.pauses.append(seconds)
        return self.stop_after is not None and len(self.pauses) >= self.stop_after

    def desk(self) -> Desk:
        if self._desk is None:
            self._desk = Desk(
                self.connection.group("bundler"),
                self.connection.producer(),
                self.following,
                self.book,
                self.reporter("bundler"),
            )
            self._desk.open([ORDERS_SEAL])
        return self._desk

    def bundler(self, **changes: Any) -> Bundler:
        return Bundler(replace(self.workshop(), **changes), self.following, self.book)

    def workshop(self) -> Workshop:
        return Workshop(
            desk=self.desk(),
            producer=self.connection.producer(),
            reporter=self.reporter("bundler"),
            readers=Readers(self.connection.reader),
            vault=self.keyring.client("bundler"),
            store=self.store,
            signer=SIGNER,
            spool=self.folder,
            spool_bytes_max=self.spool_bytes_max,
            sources=(),
            entropy=self.random,
            pause=self.pause,
        )

    def task(self, order: Order) -> Task:
        """The order, as the desk hands it out."""
        task = self.offer(order)
        assert task is not None, "the order is not pending"
        return task

    def offer(self, order: Order) -> Task | None:
        """Send the order; the task that the desk makes of it, if it does."""
        out = Outgoing(
            topic=ORDERS_SEAL, key=order.subject_ref.encode(), value=self.order_message(order)
        )
        (sent,) = self.connection.producer().send_and_wait([out], PATIENCE_S)
        place = (sent.topic, sent.partition)
        found: list[Task] = []

        def came() -> bool:
            found.extend(filter(None, [self.desk().take(0.01)]))
            committed = self.connection.admin().committed("bundler").get(place, 0)
            return bool(found) or committed > sent.offset

        until(came, PATIENCE_S)
        return found[0] if found else None

    def decide_while(self, work: Callable[[], object]) -> None:
        """Let the decider read reports while a bundler waits for its decision."""
        done = self.threads.submit(work)
        until(lambda: (self.decide("bundler"), done.done())[1], PATIENCE_S)
        done.result()

    def forged(self, order: SealBundle, source: str, *, shift: int) -> SealBundle:
        """The order with a source's extent moved, and a digest that agrees with what lies there."""
        found = {r.offset: r.value or b"" for r in self.fragments(source)}
        extents = []
        for named in order.extents:
            if named.source == source:
                runs = tuple(
                    replace(run, first=run.first + shift, last=run.last + shift)
                    for run in named.extent.runs
                )
                values = [found[o] for run in runs for o in range(run.first, run.last + 1)]
                digest = hashlib.sha256(b"".join(values)).digest()
                moved = replace(named.extent, runs=runs, ciphertext_sha256=digest)
                extents.append(replace(named, extent=moved))
            else:
                extents.append(named)
        return replace(order, extents=tuple(extents))

    def work_off(self, kind: type, **changes: Any) -> list[Any]:
        """Carry out the pending order of a kind; what it led to, decided."""
        bundler = self.bundler(**changes)
        bundler.carry_out(self.task(self.owed_of(kind)))
        return self.decide("bundler")

    def seal(self, **changes: Any) -> Any:
        """The one report that a seal order leads to."""
        (report,) = self.work_off(SealBundle, **changes)
        return report

    def let_it_expire(self) -> None:
        """Days pass, each with its tick: a clock that leaps is not believed."""
        for _ in range(8):
            self.writer.wait(timedelta(days=1))
            self.writer.tick()
        self.writer.fire_due(self.ines)
        self.publish()

    def seal_run(self, order: SealBundle) -> bytes:
        """An archive of an order as it might have been; opened, and not reported to anybody."""
        shop = self.workshop()
        task = Task(order, 0, 0, self.order_record(order))
        shop = replace(shop, desk=Anything(shop.desk))
        report = SealRun(shop, task, order).report()
        key = self.keyring.keys[order.request_id, "archive"][1]
        context = archive_context(
            tenant_ref=order.tenant_ref,
            subject_ref=order.subject_ref,
            request_id=order.request_id,
            order_id=order.order_id,
        )
        return envelope.open_sealed(key.key, b"".join(self.store.read(report.object_key)), context)

    def exported(self) -> str:
        """File an export and collect it; the request's id."""
        request_id = self.file_export()
        self.collect_all()
        return request_id

    def stored(self) -> list[str]:
        return [*self.store.keys(""), *(u.upload_id for u in self.store.uploads(""))]

    def archive(self, request_id: str) -> bytes:
        """What the person gets: the object opened as request_api opens it."""
        export = self.export(request_id)
        assert export.object_key is not None
        sealed = b"".join(self.store.read(export.object_key))
        key = self.keyring.keys[request_id, "archive"][1]
        context = archive_context(
            tenant_ref=self.writer.subject(self.ines).tenant_ref,
            subject_ref=self.ines,
            request_id=request_id,
            order_id=export.object_key.rpartition("/")[2],
        )
        return envelope.open_sealed(key.key, sealed, context)

    def contents(self, request_id: str) -> dict[str, Any]:
        vault_id = self.export(request_id).contents_vault_id
        assert vault_id is not None
        value: dict[str, Any] = json.loads(self.keyring.rows[vault_id].value)
        return value


def members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(archive)) as unzipped:
        return {name: unzipped.read(name) for name in unzipped.namelist()}


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


class Anything(Desk):
    """A desk to which every order is pending."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def is_pending(self, order: Order) -> bool:
        return True

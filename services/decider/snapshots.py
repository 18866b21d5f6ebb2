"""Disposable caches of a folded partition: whatever is wrong with one, the log is read instead."""

import hashlib
import os
from pathlib import Path
from typing import Final

from plumbing import telemetry
from plumbing.failpoints import fp
from rights.ledger import Ledger
from schemas.codec import UndecodableError
from schemas.snapshots import read_snapshot, write_snapshot

DIGEST_BYTES: Final = 32
log = telemetry.get("decider")


class Snapshots:
    """One file a partition in `folder`; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def save(self, partition: int, next_offset: int, ledger: Ledger) -> None:
        """Write whole or not at all: a temporary file, flushed, then renamed."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        body = write_snapshot(ledger, next_offset)
        path = self._path(self._folder, partition)
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.write(hashlib.sha256(body).digest())
            fp("decider.snapshot")
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    def load(self, partition: int, log_id: str) -> tuple[int, Ledger] | None:
        """Next offset and ledger, or None where there is no sound snapshot of this log."""
        if self._folder is None:
            return None
        try:
            raw = self._path(self._folder, partition).read_bytes()
        except FileNotFoundError:
            return None
        try:
            next_offset, ledger = read_snapshot(_checked(raw))
        except UndecodableError as failure:
            log.warning("snapshot_ignored", partition=partition, code=failure.code)
            return None
        if ledger.log_id != log_id or ledger.partition != partition:
            log.warning("snapshot_ignored", partition=partition, code="FOREIGN")
            return None
        return next_offset, ledger

    @staticmethod
    def _path(folder: Path, partition: int) -> Path:
        return folder / f"ledger-{partition}.snapshot"


def _checked(raw: bytes) -> bytes:
    digest, body = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise UndecodableError("DIGEST")
    return body

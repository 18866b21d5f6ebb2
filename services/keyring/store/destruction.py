"""The steps of a destruction, each its own transaction: mark, delete, prove; and all of it again.

When each may be taken is the destroyer's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from plumbing import telemetry
from plumbing.clock import Clock
from plumbing.failpoints import fp
from proofs import envelope
from proofs.failures import Tampered
from services.keyring.store import doom as dooms
from services.keyring.store import keys
from services.keyring.store.cipher import HeldKey, Kek
from services.keyring.store.database import Database
from services.keyring.store.doom import Doom

_CHUNK: Final = 500
_WITNESS: Final = b"habeas/negative-probe/v1"
log = telemetry.get("keyring.destruction")


class NotDestroyedError(Exception):
    """Something that was deleted is still there, or still opens what it sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """A destruction that the log says was done."""

    doom: Doom
    fingerprints: tuple[str, ...]
    at: datetime


class Destruction:
    """The only code that deletes keys."""

    def __init__(self, database: Database, kek: Kek, clock: Clock) -> None:
        self._database = database
        self._kek = kek
        self._clock = clock

    def begin(self, doom: Doom) -> tuple[str, ...]:
        """From now on nothing of it is opened. Answers the fingerprints of the keys that go."""
        with self._database.writing() as transaction:
            fingerprints = dooms.mark(transaction, doom, self._clock.now())
        fp("keyring.dying")
        return fingerprints

    def finish(self, doom: Doom) -> None:
        """Delete, and make sure.

        Raises:
            NotDestroyedError: it cannot be confirmed; nothing may be reported.
        """
        with self._database.reading() as transaction:
            doomed = keys.by_id(
                transaction, self._kek, dooms.doomed_keys(transaction, doom)
            ).values()
            witnesses = {held.key_id: self._witness(held) for held in doomed}
        with self._database.writing() as transaction:
            dooms.delete(transaction, [doom])
        fp("keyring.deleted")
        self._probe(doom, witnesses)
        with self._database.writing() as transaction:
            dooms.conclude(transaction, doom, self._clock.now())

    def _witness(self, held: HeldKey) -> bytes:
        return envelope.seal(held.key, held.key_id, _WITNESS, _WITNESS, entropy=self._kek.entropy)

    def _probe(self, doom: Doom, witnesses: dict[bytes, bytes]) -> None:
        """What was sealed under each key a moment ago must open for nobody any more."""
        with self._database.reading() as transaction:
            if dooms.left(transaction, doom):
                raise NotDestroyedError("rows are left")
            for key_id, held in keys.by_id(transaction, self._kek, list(witnesses)).items():
                if _opens(held, witnesses[key_id]):
                    raise NotDestroyedError("a key still opens what it sealed")
                raise NotDestroyedError("a key is left")

    def reapply(self, destroyed: Sequence[Destroyed]) -> int:
        """Destroy again what the log says was destroyed; how many keys had come back.

        Without a barrier: nothing was opened yet, and what is found here is not supposed to exist.
        """
        revived = rows = 0
        for start in range(0, len(destroyed), _CHUNK):
            chunk = destroyed[start : start + _CHUNK]
            known = frozenset(f for done in chunk for f in done.fingerprints)
            with self._database.writing() as transaction:
                found, deleted = dooms.delete(transaction, [done.doom for done in chunk])
                dooms.record(transaction, [(d.doom, d.fingerprints, d.at) for d in chunk])
            revived += len(found & known)
            rows += deleted
        if revived:
            # F-41: a backup older than a destruction was restored, or somebody put keys back.
            log.error("key_resurrected", keys=revived, rows=rows)
        log.info("reconciled", count=len(destroyed), keys=revived, rows=rows)
        return revived


def _opens(held: HeldKey, witness: bytes) -> bool:
    try:
        envelope.open_sealed(held.key, witness, _WITNESS)
    except Tampered:
        return False
    return True

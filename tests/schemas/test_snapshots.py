"""A folded partition survives being written down, and nobody else's snapshot is believed."""

import pytest

from rights.ledger import Ledger
from rights.policies import PROFILES
from rights.reports import OffsetRun
from schemas.codec import UndecodableError, encode
from schemas.snapshots import read_snapshot, write_snapshot
from tests.support.log_writer import LogWriter, eventful_log


def _folded(log: LogWriter, partition: int) -> Ledger:
    ledger = Ledger(partition)
    for entry in log.entries:
        if entry.decision.partition == partition:
            ledger.apply(entry.decision, entry.events, entry.head)
    return ledger


def _owed(ledger: Ledger) -> set[object]:
    return {*ledger.pending_orders(), *(timer for _, timer in ledger.timers())}


@pytest.fixture(scope="module")
def log() -> LogWriter:
    return eventful_log(people=3)


@pytest.mark.parametrize("partition", range(3))
def test_a_ledger_comes_back_as_it_was(log: LogWriter, partition: int) -> None:
    ledger = _folded(log, partition)

    next_offset, read = read_snapshot(write_snapshot(ledger, 41))

    assert next_offset == 41
    assert read == ledger
    # A snapshot sorts people, so what they are owed comes in another order.
    assert _owed(read) == _owed(ledger)


def test_a_partition_in_which_nothing_happened_comes_back_too() -> None:
    assert read_snapshot(write_snapshot(Ledger(2), 0)) == (0, Ledger(2))


def test_the_requests_of_a_person_keep_their_order(log: LogWriter) -> None:
    ledgers = [_folded(log, p) for p in range(log.partitions)]
    before = [s for ledger in ledgers for s in ledger.subjects.values() if len(s.requests) > 1]
    after = {
        ref: subject
        for ledger in ledgers
        for ref, subject in read_snapshot(write_snapshot(ledger, 0))[1].subjects.items()
    }

    assert before, "somebody both exported and erased"
    assert all(list(after[s.ref].requests) == list(s.requests) for s in before)


def test_equal_ledgers_are_equal_bytes(log: LogWriter) -> None:
    ledger, again = _folded(log, 0), _folded(log, 0)
    again.subjects = dict(reversed(again.subjects.items()))
    again.answers = dict(reversed(again.answers.items()))
    again.positions = dict(reversed(again.positions.items()))

    assert write_snapshot(again, 7) == write_snapshot(ledger, 7)


@pytest.mark.parametrize(
    ("damaged", "code"),
    [
        (b"", "UNKNOWN_SCHEMA"),
        (write_snapshot(Ledger(0), 0)[:-1], "MALFORMED"),
        (write_snapshot(Ledger(0), 0) + b"\0", "TRAILING_BYTES"),
        (b"\xc3\x01" + bytes(8) + write_snapshot(Ledger(0), 0)[10:], "UNKNOWN_SCHEMA"),
    ],
    ids=["empty", "cut", "longer", "another release"],
)
def test_a_snapshot_that_is_not_ours_is_not_read(damaged: bytes, code: str) -> None:
    with pytest.raises(UndecodableError) as caught:
        read_snapshot(damaged)

    assert caught.value.code == code


def test_a_message_is_no_snapshot() -> None:
    with pytest.raises(UndecodableError):
        read_snapshot(encode(PROFILES["org-jobs"]))

    with pytest.raises(UndecodableError):
        read_snapshot(encode(OffsetRun(first=0, last=1)))

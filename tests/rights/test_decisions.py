from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rights.decisions import EMPTY, CommandReference, Decision, Verdict, extend, leaf_hash
from rights.reports import bucket
from rights.timers import one_month_after

AT = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
FIRST = Decision(
    log_id="ab" * 16,
    partition=2,
    seq=0,
    prev_hash=bytes(32),
    decided_at=AT,
    observed_at=AT,
    command=CommandReference(id="1", issuer="decider", type="Genesis", hash=b""),
    verdict=Verdict.ACCEPTED,
)
HEAD = extend(EMPTY, FIRST, b"k", b"v")
assert HEAD is not None


def test_a_record_extends_the_log_only_at_its_head() -> None:
    head = extend(EMPTY, FIRST, b"k", b"v")
    assert head is not None
    assert (head.seq, head.hash) == (0, leaf_hash(bytes.fromhex("ab" * 16), 2, 0, b"k", b"v"))

    second = replace(FIRST, seq=1, prev_hash=head.hash)
    assert extend(head, second, b"k", b"w") is not None


@pytest.mark.parametrize(
    "void",
    [
        replace(FIRST, seq=0),
        replace(FIRST, seq=2),
        replace(FIRST, seq=1, prev_hash=b"\xff" * 32),
        replace(FIRST, seq=1, prev_hash=HEAD.hash, log_id="no hex"),
    ],
)
def test_any_other_record_is_void(void: Decision) -> None:
    head = extend(EMPTY, FIRST, b"k", b"v")
    assert head is not None

    assert extend(head, void, b"k", b"v") is None


def test_the_leaf_commits_to_key_value_and_place() -> None:
    log_id = bytes(16)
    leaves = {
        leaf_hash(log_id, 0, 0, b"k", b"v"),
        leaf_hash(log_id, 1, 0, b"k", b"v"),
        leaf_hash(log_id, 0, 1, b"k", b"v"),
        leaf_hash(log_id, 0, 0, b"kv", b""),
        leaf_hash(log_id, 0, 0, b"", b"kv"),
        leaf_hash(b"\1" * 16, 0, 0, b"k", b"v"),
    }

    assert len(leaves) == 6


@pytest.mark.parametrize(
    ("filed", "due"),
    [
        ((2026, 1, 31), (2026, 2, 28)),
        ((2028, 1, 31), (2028, 2, 29)),
        ((2026, 3, 2), (2026, 4, 2)),
        ((2026, 12, 31), (2027, 1, 31)),
    ],
)
def test_one_month_ends_on_the_same_day_or_the_months_last(
    filed: tuple[int, int, int], due: tuple[int, int, int]
) -> None:
    assert one_month_after(datetime(*filed, tzinfo=UTC)) == datetime(*due, tzinfo=UTC)


@pytest.mark.parametrize(("count", "told"), [(0, 0), (1, 1), (2, 2), (3, 4), (1000, 1024), (-1, 0)])
def test_counts_are_told_in_powers_of_two(count: int, told: int) -> None:
    assert bucket(count) == told

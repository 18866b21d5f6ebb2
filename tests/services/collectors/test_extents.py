"""Where a run's fragments lie, as runs of offsets."""

from collections.abc import Iterable

import pytest

from plumbing.kafka import Delivery
from rights.reports import OffsetRun
from services.collectors.extents import OutOfOrderError, Places


def places(offsets: Iterable[int], partition: int = 2) -> Places:
    found = Places()
    for offset in offsets:
        found.add(Delivery("topic", partition, offset))
    return found


def test_consecutive_fragments_are_one_run() -> None:
    found = places([7, 8, 9])

    assert found.runs == (OffsetRun(first=7, last=9),)
    assert (found.partition, found.chunks) == (2, 3)


def test_fragments_of_other_orders_in_between_divide_runs() -> None:
    found = places([0, 1, 4, 9, 10])

    assert found.runs == (
        OffsetRun(first=0, last=1),
        OffsetRun(first=4, last=4),
        OffsetRun(first=9, last=10),
    )


@pytest.mark.parametrize("offset", [3, 4])
def test_a_fragment_that_lies_before_its_predecessor_voids_the_run(offset: int) -> None:
    with pytest.raises(OutOfOrderError):
        places([3, 4, offset])


def test_a_run_on_two_partitions_is_void() -> None:
    found = places([1])

    with pytest.raises(OutOfOrderError):
        found.add(Delivery("topic", 0, 2))

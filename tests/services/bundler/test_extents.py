"""Reading an extent's fragments by their offsets."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from plumbing.kafka import Connection, Outgoing, TopicSpec
from plumbing.kafka.memory import MemoryBroker
from rights.reports import Extent, OffsetRun
from schemas.topics import fragments
from services.bundler.extents import SKIP_MAX, ExtentGoneError, ExtentReader, ExtentUnsoundError

TOPIC = fragments("journal")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def never() -> None:
    pass


@pytest.fixture
def connection() -> Connection:
    connection = MemoryBroker().connection("test")
    connection.admin().ensure_topics([TopicSpec(name=TOPIC, partitions=2)])
    return connection


def publish(connection: Connection, count: int) -> list[bytes]:
    values = [b"fragment %d" % i for i in range(count)]
    outs = [Outgoing(topic=TOPIC, value=value, partition=1) for value in values]
    connection.producer().send_and_wait(outs, 10)
    return values


def extent(*runs: tuple[int, int], values: list[bytes]) -> Extent:
    chosen = [values[i] for first, last in runs for i in range(first, last + 1) if i < len(values)]
    return Extent(
        run_id="aa" * 16,
        partition=1,
        runs=tuple(OffsetRun(first=first, last=last) for first, last in runs),
        chunks=sum(last - first + 1 for first, last in runs),
        ciphertext_sha256=hashlib.sha256(b"".join(chosen)).digest(),
        watermark="1",
        collected_at=NOON,
        sections=("entries",),
    )


def read(connection: Connection, of: Extent, keep_going: Callable[[], None] = never) -> list[bytes]:
    reader = connection.reader()
    try:
        return list(ExtentReader(reader, keep_going).fragments("journal", of))
    finally:
        reader.close()


@pytest.mark.parametrize(
    "runs",
    [
        ((0, 0),),
        ((3, 9),),
        ((0, 2), (4, 4), (6, 9)),
        ((0, 1), (SKIP_MAX + 10, SKIP_MAX + 12)),
    ],
)
def test_exactly_the_extents_offsets_are_read_in_order(
    connection: Connection, runs: tuple[tuple[int, int], ...]
) -> None:
    values = publish(connection, SKIP_MAX + 20)

    assert read(connection, extent(*runs, values=values)) == [
        values[i] for first, last in runs for i in range(first, last + 1)
    ]


def test_two_extents_are_read_one_after_the_other_by_one_reader(connection: Connection) -> None:
    values = publish(connection, 10)
    reader = ExtentReader(connection.reader(), never)

    assert list(reader.fragments("journal", extent((5, 9), values=values))) == values[5:]
    assert list(reader.fragments("journal", extent((0, 2), values=values))) == values[:3]


def test_an_extent_beyond_the_topics_end_is_gone(connection: Connection) -> None:
    values = publish(connection, 5)

    with pytest.raises(ExtentGoneError):
        read(connection, extent((3, 5), values=values))


def test_an_extent_whose_beginning_was_trimmed_away_is_gone(connection: Connection) -> None:
    values = publish(connection, 10)
    connection.admin().trim({(TOPIC, 1): 4})

    with pytest.raises(ExtentGoneError):
        read(connection, extent((3, 9), values=values))
    assert read(connection, extent((4, 9), values=values)) == values[4:]


def test_an_offset_without_a_record_is_a_gap(connection: Connection) -> None:
    values = publish(connection, 3)
    writer = connection.writer("fragments")
    writer.fence()
    writer.write([Outgoing(topic=TOPIC, value=b"fragment 3", partition=1)])
    # The transaction's marker lies at offset 4.
    publish(connection, 2)

    with pytest.raises(ExtentGoneError):
        read(connection, extent((2, 5), values=[*values, b"fragment 3", b"", b"fragment 0"]))
    with pytest.raises(ExtentGoneError):
        read(connection, extent((4, 4), values=values))


def test_bytes_that_differ_from_what_was_reported_are_refused(connection: Connection) -> None:
    values = publish(connection, 10)
    honest = extent((3, 9), values=values)
    values[5] = b"tampered!!"

    with pytest.raises(ExtentUnsoundError, match="CIPHERTEXT_DIFFERS"):
        read(connection, extent((3, 9), values=values))
    assert read(connection, honest)


@pytest.mark.parametrize(
    "runs",
    [
        (),
        ((4, 3),),
        ((-1, 2),),
        ((0, 3), (3, 5)),
        ((6, 9), (0, 3)),
    ],
)
def test_an_extent_that_contradicts_itself_is_refused(
    connection: Connection, runs: tuple[tuple[int, int], ...]
) -> None:
    values = publish(connection, 10)
    honest = extent((0, 9), values=values)
    crooked = replace(honest, runs=tuple(OffsetRun(first=a, last=b) for a, b in runs))

    with pytest.raises(ExtentUnsoundError, match="EXTENT_MALFORMED"):
        read(connection, crooked)


def test_a_count_that_disagrees_with_the_offsets_is_refused(connection: Connection) -> None:
    values = publish(connection, 10)
    honest = extent((0, 9), values=values)

    with pytest.raises(ExtentUnsoundError, match="EXTENT_MALFORMED"):
        read(connection, replace(honest, chunks=9))

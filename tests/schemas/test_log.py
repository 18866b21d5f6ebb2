"""Which records of a partition are the log, and what their events are."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rights.decisions import EMPTY, CommandReference, Decision, EventBody, Verdict
from rights.events import DayTicked, PolicyPublished, RequestCancelled
from rights.policies import Role
from schemas import codec
from schemas.codec import MARKER, PREFIX_BYTES, UndecodableError, encode, fingerprint_of
from schemas.derivation import schema_of
from schemas.log import Chain, Entry, UnknownEventError, Void, event_body
from tests.schemas.test_golden_bytes import AT
from tests.support.log_writer import eventful_log

KEY = b"key"
TICKED = DayTicked(boot_id="b1", boot_clock_ms=1)
FIRST = Decision(
    log_id="ab" * 16,
    partition=0,
    seq=0,
    prev_hash=bytes(32),
    decided_at=AT,
    observed_at=AT,
    command=CommandReference(id="1", issuer="decider", type="Genesis", hash=b""),
    verdict=Verdict.ACCEPTED,
    events=(event_body(TICKED),),
)


def _entry(chain: Chain, decision: Decision) -> Entry:
    found = chain.read(KEY, encode(decision))
    assert isinstance(found, Entry)
    return found


@pytest.mark.parametrize("is_sparing", [False, True])
def test_a_log_is_read_as_it_was_written(*, is_sparing: bool) -> None:
    log = eventful_log(people=1)
    chains = {p: Chain(is_sparing=is_sparing) for p in range(log.partitions)}

    read = [chains[r.partition].read(r.key, r.value) for r in log.records]

    assert all(isinstance(found, Entry) for found in read)
    assert [e.decision for e in read if isinstance(e, Entry)] == [e.decision for e in log.entries]
    assert [e.events for e in read if isinstance(e, Entry)] == [e.events for e in log.entries]
    assert [e.head for e in read if isinstance(e, Entry)] == [e.head for e in log.entries]


@pytest.mark.parametrize("is_sparing", [False, True])
def test_a_record_that_does_not_extend_the_head_is_void_and_moves_nothing(
    *, is_sparing: bool
) -> None:
    chain = Chain(is_sparing=is_sparing)
    head = _entry(chain, FIRST).head

    # The same record again, as a producer's repeat or a woken zombie would write it.
    assert chain.read(KEY, encode(FIRST)) == Void(claimed_seq=0)
    assert chain.read(KEY, encode(replace(FIRST, seq=5))) == Void(claimed_seq=5)
    assert chain.head == head

    second = _entry(chain, replace(FIRST, seq=1, prev_hash=head.hash))
    assert second.head.seq == 1


def test_the_key_is_part_of_the_chain() -> None:
    one, other = Chain(), Chain()

    one.read(b"one", encode(FIRST))
    other.read(b"other", encode(FIRST))

    assert one.head.hash != other.head.hash


@pytest.mark.parametrize("is_sparing", [False, True])
@pytest.mark.parametrize(
    "value", [None, b"", b"junk", encode(TICKED), encode(FIRST)[: PREFIX_BYTES + 9]]
)
def test_a_record_that_is_no_decision_means_that_the_log_is_damaged(
    value: bytes | None, *, is_sparing: bool
) -> None:
    chain = Chain(is_sparing=is_sparing)

    with pytest.raises(UndecodableError):
        chain.read(None, value)

    assert chain.head == EMPTY


def test_events_are_decoded_when_they_are_asked_for_and_only_once() -> None:
    entry = _entry(Chain(), FIRST)

    assert entry.events == (TICKED,)
    assert entry.events is entry.events


@pytest.mark.parametrize(
    "body",
    [
        EventBody(type="PersonMoved", body=b"\xc3\x01" + bytes(12)),
        EventBody(type="DayTicked", body=encode(FIRST)),
        replace(event_body(TICKED), type="DayStarted"),
        EventBody(
            type="DayTicked",
            body=encode(RequestCancelled(request_id="1", actor_role=Role.SUBJECT, actor_ref="a")),
        ),
    ],
    ids=["of a later release", "no event", "under another name", "another event"],
)
def test_an_unknown_event_stops_the_fold_and_not_the_chain(body: EventBody) -> None:
    chain = Chain()
    entry = _entry(chain, replace(FIRST, events=(body,)))

    with pytest.raises(UnknownEventError):
        _ = entry.events

    after = _entry(chain, replace(FIRST, seq=1, prev_hash=entry.head.hash))
    assert after.events == (TICKED,)


def test_a_sparing_reader_finds_damage_behind_the_beginning_when_it_looks() -> None:
    chain = Chain(is_sparing=True)
    found = chain.read(KEY, encode(FIRST)[:-1])
    assert isinstance(found, Entry)

    assert found.place.seq == 0
    with pytest.raises(UndecodableError):
        _ = found.decision


@pytest.mark.parametrize("is_sparing", [False, True])
def test_which_events_an_entry_may_hold_is_known_without_reading_it(*, is_sparing: bool) -> None:
    log = eventful_log(people=1)
    chains = {p: Chain(is_sparing=is_sparing) for p in range(log.partitions)}

    for record, entry in zip(log.records, log.entries, strict=True):
        found = chains[record.partition].read(record.key, record.value)
        assert isinstance(found, Entry)
        if any(isinstance(event, PolicyPublished) for event in entry.events):
            assert found.may_hold(PolicyPublished)
        else:
            # A policy is pinned into requests too, but under another name.
            assert not found.may_hold(PolicyPublished)


def test_a_sparing_reader_reads_all_of_what_another_release_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = schema_of(Decision)
    # The last field has a default, and takes one byte.
    older["fields"] = older["fields"][:-1]
    (tmp_path / "Decision.avsc").write_text(json.dumps(older))
    monkeypatch.setattr(codec, "FROZEN", tmp_path)
    codec._by_prefix.cache_clear()
    octets = MARKER + fingerprint_of(older) + encode(FIRST)[PREFIX_BYTES:-1]

    found = Chain(is_sparing=True).read(KEY, octets)
    codec._by_prefix.cache_clear()

    assert isinstance(found, Entry)
    assert found.decision == FIRST

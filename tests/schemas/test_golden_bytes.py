"""A few messages byte by byte: what lies on a log for years must not be written differently."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rights.commands import DayTick, SubmitExport
from rights.decisions import CommandReference, Decision, InputPosition, Verdict
from rights.events import DayTicked
from rights.policies import PolicyReference
from schemas.codec import decode, encode, fingerprint_of
from schemas.log import event_body
from schemas.wire import DeadLetter

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_AT = "80d8aab1e781a606"
DECISION = Decision(
    log_id="ab" * 16,
    partition=2,
    seq=7,
    prev_hash=b"\1" * 4,
    decided_at=AT,
    observed_at=AT,
    command=CommandReference(id="c1", issuer="scheduler", type="DayTick", hash=b"\2"),
    verdict=Verdict.ACCEPTED,
    policy=PolicyReference(partition=0, seq=4, hash=b"\3"),
    events=(event_body(DayTicked(boot_id="b1", boot_clock_ms=1)),),
    inputs=(InputPosition(topic="t", partition=2, next_offset=9),),
)
_DECISION_PARTS = (
    # The marker, and the fingerprint of Decision's schema.
    "c301" + "5499023cecf09072",
    # log_id, partition, seq, prev_hash, decided_at, observed_at.
    "40" + "6162" * 16 + "04" + "0e" + "0801010101" + _AT + _AT,
    # command: id, issuer, type, hash; then verdict and code.
    "046331" + "127363686564756c6572" + "0e4461795469636b" + "0202",
    "104143434550544544" + "00",
    # No subject, no tenant; the policy used; no attested facts.
    "00" + "00" + "02" + "00080203" + "00",
    # One event as its own message, one input position, and the logic's version.
    "02" + "124461795469636b6564" + "1c" + "c30177672bdd073a91ed" + "04623102" + "00",
    "02" + "0274" + "04" + "12" + "00" + "02",
)
GOLDEN: list[tuple[Any, str]] = [
    (DayTick(boot_id="b1", boot_clock_ms=86_400_000), "c301f7a160d1ca266a9404623180f0b252"),
    (
        SubmitExport(sections=("entries",), handles_vault_id="v1"),
        "c301fafd95ada94eda02020e656e747269657300047631000004656e",
    ),
    (
        DeadLetter(topic="t", partition=1, offset=2, sha256=b"\1\2", code="C", at=AT),
        "c3013404983cd70156cb027402040401020243" + _AT,
    ),
    (DECISION, "".join(_DECISION_PARTS)),
]


@pytest.mark.parametrize(("message", "digits"), GOLDEN, ids=lambda one: type(one).__name__)
def test_bytes_stay_as_they_are(message: Any, digits: str) -> None:
    assert encode(message).hex() == digits
    assert decode(bytes.fromhex(digits)) == message


@pytest.mark.parametrize(
    ("schema", "published"),
    # From Avro's own test vectors (share/test/data/schema-tests.txt).
    [("null", 7195948357588979594), ("boolean", -6970731678124411036)],
)
def test_fingerprints_are_those_of_the_specification(schema: str, published: int) -> None:
    found = fingerprint_of({"type": schema})

    assert int.from_bytes(found, "little", signed=True) == published

"""Bytes that no release wrote: a code says what is wrong, and never what the bytes were."""

import traceback
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rights.commands import Actor, DayTick, FireTimer
from rights.events import DayTicked
from rights.policies import Role
from schemas.catalogue import MESSAGES
from schemas.codec import (
    MARKER,
    PREFIX_BYTES,
    UndecodableError,
    decode,
    decode_as,
    decode_exactly,
    encode,
    fingerprint_of,
)
from schemas.derivation import schema_of
from schemas.wire import CommandMessage, OrderMessage
from tests.schemas.test_golden_bytes import AT

TICK = DayTick(boot_id="b1", boot_clock_ms=1)
SECRET = "ines.almeida@example.org"
COMMAND = CommandMessage(
    id="1",
    hash=b"",
    issuer="request_api",
    actor=Actor(role=Role.SUBJECT, ref="a"),
    subject_ref=None,
    tenant_ref=None,
    attested=(),
    issued_at=AT,
    valid_until=None,
    body=b"",
)


def _refusal(data: bytes, cls: type | None = None, *, exactly: bool = False) -> UndecodableError:
    how = decode_exactly if exactly else decode_as
    with pytest.raises(UndecodableError) as caught:
        _ = decode(data) if cls is None else how(cls, data)
    return caught.value


@pytest.mark.parametrize("data", [b"", b"\xc3\x01", b"\xc3\x01" + bytes(8), b'{"json": true}'])
def test_bytes_without_a_known_fingerprint_have_an_unknown_schema(data: bytes) -> None:
    assert _refusal(data).code == "UNKNOWN_SCHEMA"
    assert _refusal(data, DayTick, exactly=True).code == "UNKNOWN_SCHEMA"


def test_a_message_that_ends_too_soon_is_malformed() -> None:
    for end in range(PREFIX_BYTES, len(encode(TICK))):
        assert _refusal(encode(TICK)[:end]).code == "MALFORMED"
        assert _refusal(encode(TICK)[:end], DayTick, exactly=True).code == "MALFORMED"


def test_a_message_with_something_behind_it_is_refused() -> None:
    assert _refusal(encode(TICK) + b"\0").code == "TRAILING_BYTES"
    assert _refusal(encode(TICK) + b"\0", DayTick, exactly=True).code == "TRAILING_BYTES"


def test_another_message_than_the_one_expected_is_refused() -> None:
    ticked = DayTicked(boot_id="b1", boot_clock_ms=1)

    assert _refusal(encode(ticked), DayTick).code == "WRONG_MESSAGE"
    assert _refusal(encode(ticked), DayTick, exactly=True).code == "UNKNOWN_SCHEMA"


def test_a_word_that_is_not_in_its_vocabulary_is_malformed() -> None:
    written = encode(COMMAND).replace(b"\x0eSUBJECT", b"\x0eSTRANGE")

    assert written != encode(COMMAND)
    assert _refusal(written).code == "MALFORMED"


def test_a_refusal_never_repeats_what_was_sent() -> None:
    strange = encode(COMMAND).replace(b"\x0eSUBJECT", bytes([2 * len(SECRET)]) + SECRET.encode())
    too_short = encode(replace(COMMAND, issuer=SECRET))[:-1]
    too_long = encode(replace(COMMAND, issuer=SECRET)) + b"\0"

    for data in (strange, too_short, too_long, SECRET.encode()):
        refusal = _refusal(data)
        told = "".join(traceback.format_exception(refusal))
        assert SECRET not in told
        assert refusal.args == (refusal.code,)


@given(cls=st.sampled_from(list(MESSAGES.values())), body=st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_bytes_behind_any_fingerprint_are_read_or_refused(cls: type, body: bytes) -> None:
    read, code = None, ""
    try:
        read = decode(_prefix(cls) + body)
    except UndecodableError as refusal:
        code = refusal.code
    assert isinstance(read, cls) or code in {"MALFORMED", "TRAILING_BYTES"}


def _prefix(cls: type) -> bytes:
    return MARKER + fingerprint_of(schema_of(cls))


def test_lengths_beyond_the_message_take_no_memory() -> None:
    # An order whose body claims to be 2**62 bytes long.
    lying = _prefix(OrderMessage) + b"\0\0" + b"\xfe" + b"\xff" * 8 + b"\x7f"

    assert _refusal(lying).code == "MALFORMED"


def test_a_timer_of_a_year_that_no_calendar_has_is_malformed() -> None:
    fire = encode(FireTimer(request_id="1", timer="GRACE_END", due_at=AT))
    far = fire[:-8] + b"\xfe" + b"\xff" * 7 + b"\x7f"

    assert _refusal(far).code == "MALFORMED"

"""What was written is what is read, whatever the values are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import MESSAGES
from schemas.codec import MARKER, decode, decode_as, decode_exactly, encode, fingerprint_of
from schemas.derivation import schema_of
from tests.schemas.examples import any_of


@pytest.mark.parametrize("name", sorted(MESSAGES))
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_every_message_comes_back_as_it_went(name: str, data: st.DataObject) -> None:
    cls = MESSAGES[name]
    message = data.draw(any_of(cls))

    written = encode(message)

    assert written.startswith(MARKER)
    assert decode(written) == message
    assert decode_as(cls, written) == message
    assert decode_exactly(cls, written) == message
    assert encode(decode(written)) == written


def test_no_two_messages_share_a_fingerprint() -> None:
    fingerprints = {fingerprint_of(schema_of(cls)) for cls in MESSAGES.values()}

    assert len(fingerprints) == len(MESSAGES)

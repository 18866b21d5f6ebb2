import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.failures import Malformed
from proofs.framing import from_base64, prefixed16, prefixed32, to_base64


def test_a_prefix_counts_bytes() -> None:
    assert prefixed16("é") == b"\0\2\xc3\xa9"
    assert prefixed32(b"abc") == b"\0\0\0\3abc"


def test_a_short_prefix_counts_as_far_as_it_can_and_refuses_the_rest() -> None:
    assert prefixed16(bytes(65_535)) == b"\xff\xff" + bytes(65_535)
    with pytest.raises(ValueError, match="65 535"):
        prefixed16(bytes(65_536))


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_fields_never_frame_to_the_same_bytes(
    one: list[bytes], other: list[bytes]
) -> None:
    for prefixed in (prefixed16, prefixed32):
        same = b"".join(map(prefixed, one)) == b"".join(map(prefixed, other))
        assert same == (one == other)


@given(st.binary(max_size=50))
def test_base64_is_read_as_it_was_written(octets: bytes) -> None:
    assert to_base64(octets) == base64.b64encode(octets).decode()
    assert from_base64(to_base64(octets)) == octets


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AB==", "AA=", "AA==\n", " AA==", "A-__", "AA==AA==", "é"]
)
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(Malformed):
        from_base64(text)

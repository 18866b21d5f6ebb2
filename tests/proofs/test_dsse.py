import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.dsse import RECEIPT, pae, sign, verify
from proofs.failures import BadSignature, Malformed
from proofs.keys import SigningKey, VerifyKey

SHOP, BILLING, STRANGER = (SigningKey(bytes([number]) * 32) for number in range(3))
KEYS = {"shop-2026": SHOP.public, "billing-2026": BILLING.public}
PAYLOAD = b'{"treated": 3}'


def envelope(**changed: Any) -> dict[str, Any]:
    opened: dict[str, Any] = json.loads(sign(PAYLOAD, [("shop-2026", SHOP)]))
    return {**opened, **changed}


def packed(value: object) -> bytes:
    return json.dumps(value).encode()


class TestEncoding:
    def test_the_example_of_the_specification(self) -> None:
        encoded = pae("http://example.com/HelloWorld", b"hello world")

        assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"

    def test_lengths_count_bytes(self) -> None:
        assert pae("é", b"\xc3\xa9\xff") == b"DSSEv1 2 \xc3\xa9 3 \xc3\xa9\xff"
        assert pae("", b"") == b"DSSEv1 0  0 "

    def test_what_moves_over_the_edge_is_seen(self) -> None:
        assert pae("a", b"1 b") != pae("a 3 1", b"b")

    def test_an_envelope_is_the_json_of_the_specification(self) -> None:
        signature = SHOP.sign(pae(RECEIPT, PAYLOAD))

        assert json.loads(sign(PAYLOAD, [("shop-2026", SHOP)])) == {
            "payload": base64.b64encode(PAYLOAD).decode(),
            "payloadType": "application/vnd.habeas.receipt+json",
            "signatures": [{"keyid": "shop-2026", "sig": base64.b64encode(signature).decode()}],
        }


class TestVerifying:
    @given(st.binary(max_size=200))
    def test_the_payload_comes_back_as_it_was_signed(self, payload: bytes) -> None:
        verified = verify(sign(payload, [("shop-2026", SHOP)]), KEYS)

        assert verified.payload == payload
        assert verified.signers == {"shop-2026"}

    def test_several_may_sign(self) -> None:
        both = sign(PAYLOAD, [("shop-2026", SHOP), ("billing-2026", BILLING)])

        assert verify(both, KEYS, threshold=2).signers == {"shop-2026", "billing-2026"}

    def test_an_unknown_signature_does_no_harm_and_no_good(self) -> None:
        signed = sign(PAYLOAD, [("else", STRANGER), ("shop-2026", SHOP)])

        assert verify(signed, KEYS).signers == {"shop-2026"}
        with pytest.raises(BadSignature, match="threshold"):
            verify(signed, KEYS, threshold=2)

    def test_one_key_counts_once_however_often_it_signed(self) -> None:
        twice = sign(PAYLOAD, [("shop-2026", SHOP), ("shop-2026", SHOP)])

        with pytest.raises(BadSignature, match="threshold"):
            verify(twice, KEYS, threshold=2)

    def test_one_key_counts_once_under_two_names(self) -> None:
        twice = sign(PAYLOAD, [("shop-2026", SHOP), ("shop-2027", SHOP)])

        with pytest.raises(BadSignature, match="threshold"):
            verify(twice, {**KEYS, "shop-2027": SHOP.public}, threshold=2)

    @pytest.mark.parametrize("hint", [None, ""])
    def test_without_a_key_id_every_key_is_tried(self, hint: str | None) -> None:
        unnamed = envelope()
        unnamed["signatures"][0]["keyid"] = hint

        assert verify(packed(unnamed), KEYS).signers == {"shop-2026"}
        del unnamed["signatures"][0]["keyid"]
        assert verify(packed(unnamed), KEYS).signers == {"shop-2026"}

    def test_a_key_id_narrows(self) -> None:
        with pytest.raises(BadSignature):
            verify(sign(PAYLOAD, [("billing-2026", SHOP)]), KEYS)

    def test_either_alphabet_of_base64_is_read(self) -> None:
        payload = b"\xfb\xff\xfe" * 3
        url_safe = sign(payload, [("shop-2026", SHOP)]).replace(b"+", b"-").replace(b"/", b"_")
        url_safe = url_safe.replace(b"application_vnd", b"application/vnd").replace(
            b"receipt-json", b"receipt+json"
        )

        assert b"-__-" in url_safe
        assert verify(url_safe, KEYS).payload == payload

    def test_fields_of_later_versions_are_ignored(self) -> None:
        extended = envelope(later=1)
        extended["signatures"][0]["later"] = 2

        assert verify(packed(extended), KEYS).payload == PAYLOAD


class TestTampering:
    def test_another_payload_is_refused(self) -> None:
        altered = envelope(payload=base64.b64encode(b'{"treated": 4}').decode())

        with pytest.raises(BadSignature):
            verify(packed(altered), KEYS)

    def test_another_type_is_refused(self) -> None:
        other = sign(PAYLOAD, [("shop-2026", SHOP)], payload_type="application/json")

        with pytest.raises(BadSignature, match="payload-type"):
            verify(other, KEYS)
        assert verify(other, KEYS, payload_type="application/json").payload == PAYLOAD

    def test_a_type_changed_afterwards_is_refused(self) -> None:
        other = sign(PAYLOAD, [("shop-2026", SHOP)], payload_type="application/json")

        with pytest.raises(BadSignature, match="threshold"):
            verify(packed({**json.loads(other), "payloadType": RECEIPT}), KEYS)

    def test_a_signature_over_the_bare_payload_is_refused(self) -> None:
        altered = envelope()
        altered["signatures"][0]["sig"] = base64.b64encode(SHOP.sign(PAYLOAD)).decode()

        with pytest.raises(BadSignature):
            verify(packed(altered), KEYS)

    @pytest.mark.parametrize("keys", [{}, {"shop-2026": STRANGER.public}])
    def test_an_untrusted_key_is_refused(self, keys: dict[str, VerifyKey]) -> None:
        with pytest.raises(BadSignature):
            verify(packed(envelope()), keys)

    def test_no_signature_is_too_few(self) -> None:
        with pytest.raises(BadSignature):
            verify(sign(PAYLOAD, []), KEYS)

    @pytest.mark.parametrize("threshold", [0, -1])
    def test_a_threshold_of_nothing_is_a_mistake_of_the_caller(self, threshold: int) -> None:
        with pytest.raises(ValueError, match="at least one"):
            verify(packed(envelope()), KEYS, threshold=threshold)

    @pytest.mark.parametrize(
        "octets",
        [
            b"",
            b"{",
            b"\xff",
            b"[" * 100_000,
            b"[]",
            packed({"payload": "", "payloadType": RECEIPT}),
            packed(envelope(payload=1)),
            packed(envelope(payload="é")),
            packed(envelope(payload="!!!!")),
            packed(envelope(payload="AAA")),
            packed(envelope(payloadType=None)),
            packed(envelope(signatures={})),
            packed(envelope(signatures=["sig"])),
            packed(envelope(signatures=[{"keyid": "shop-2026"}])),
            packed(envelope(signatures=[{"keyid": 7, "sig": ""}])),
            packed(envelope(signatures=[{"keyid": "", "sig": "?"}])),
        ],
    )
    def test_what_is_no_envelope_is_refused(self, octets: bytes) -> None:
        with pytest.raises(Malformed):
            verify(octets, KEYS)

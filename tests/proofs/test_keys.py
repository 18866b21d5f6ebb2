import hashlib
import hmac
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from proofs import keys
from proofs.failures import BadSignature, Malformed, Tampered
from proofs.keys import SigningKey, VerifyKey, commit, fingerprint, row_context, unwrap, wrap
from proofs.sshsig import public_key_line

KEK = bytes(range(32))
ROW = row_context("subject_key", row_id=bytes(16), purpose="content", epoch="2026-W30")
PAIR = SigningKey(bytes(range(32)))


class TestSigning:
    def test_it_signs_as_rfc_8032_does(self) -> None:
        """RFC 8032 7.1, test 1."""
        seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        pair = SigningKey(bytes.fromhex(seed))

        public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        assert pair.public.raw.hex() == public
        assert pair.sign(b"").hex() == (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        )

    def test_what_it_signed_it_verifies(self) -> None:
        PAIR.public.verify(b"message", PAIR.sign(b"message"))

    @pytest.mark.parametrize("length", [0, 63, 65])
    def test_a_signature_of_another_length_is_refused(self, length: int) -> None:
        with pytest.raises(BadSignature):
            PAIR.public.verify(b"message", bytes(length))

    def test_another_message_is_refused(self) -> None:
        with pytest.raises(BadSignature):
            PAIR.public.verify(b"massage", PAIR.sign(b"message"))

    def test_another_key_is_refused(self) -> None:
        with pytest.raises(BadSignature):
            SigningKey(bytes(32)).public.verify(b"message", PAIR.sign(b"message"))

    def test_public_keys_are_values(self) -> None:
        assert VerifyKey(PAIR.public.raw) == PAIR.public
        assert len({VerifyKey(PAIR.public.raw), PAIR.public}) == 1
        assert PAIR.public != SigningKey(bytes(32)).public
        assert PAIR.public != PAIR.public.raw

    def test_no_repr_shows_a_secret(self) -> None:
        assert PAIR.seed().hex() not in repr(PAIR)
        assert PAIR.public.raw.hex() in repr(PAIR)
        assert PAIR.public.raw.hex() in repr(PAIR.public)


class TestLoading:
    def test_a_seed_a_pem_and_an_openssh_file_are_the_same_key(self) -> None:
        for stored in (PAIR.seed(), PAIR.pem(), PAIR.openssh_pem()):
            assert SigningKey.load(stored).seed() == bytes(range(32))

    def test_a_public_key_comes_back_from_its_pem(self) -> None:
        assert VerifyKey.from_pem(PAIR.public.pem()) == PAIR.public

    def test_a_new_key_is_made_of_entropy(self) -> None:
        assert SigningKey.generate(entropy=bytes).seed() == bytes(32)
        assert SigningKey.generate().seed() != SigningKey.generate().seed()

    @pytest.mark.parametrize(
        "stored",
        [
            b"",
            bytes(31),
            bytes(33),
            PAIR.pem()[:40],
            PAIR.public.pem(),
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        ],
    )
    def test_what_is_no_private_key_is_refused(self, stored: bytes) -> None:
        with pytest.raises(Malformed):
            SigningKey.load(stored)

    def test_a_private_key_of_another_kind_is_refused(self) -> None:
        other = ec.generate_private_key(ec.SECP256R1())
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

        with pytest.raises(Malformed, match="not-ed25519"):
            SigningKey.load(pem)

    def test_a_public_key_of_another_kind_is_refused(self) -> None:
        other = x25519.X25519PrivateKey.generate().public_key()
        pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

        with pytest.raises(Malformed, match="not-ed25519"):
            VerifyKey.from_pem(pem)

    @pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\n", PAIR.pem()])
    def test_what_is_no_public_key_is_refused(self, pem: bytes) -> None:
        with pytest.raises(Malformed, match="pem"):
            VerifyKey.from_pem(pem)

    @pytest.mark.parametrize("length", [0, 31, 33])
    def test_a_raw_public_key_has_thirty_two_bytes(self, length: int) -> None:
        with pytest.raises(Malformed):
            VerifyKey(bytes(length))

    @pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
    def test_ssh_keygen_reads_our_private_key_file(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_bytes(PAIR.openssh_pem())
        path.chmod(0o600)

        run = subprocess.run(
            ["ssh-keygen", "-y", "-f", path], capture_output=True, check=True, text=True
        )

        assert run.stdout.strip() == public_key_line(PAIR.public)


class TestWrapping:
    @given(st.binary(max_size=64))
    def test_a_wrapped_key_comes_out_again(self, key: bytes) -> None:
        wrapped = wrap(KEK, key, ROW)

        assert unwrap(KEK, wrapped, ROW) == key
        assert len(wrapped) == len(key) + keys.WRAPPING_OVERHEAD_BYTES

    def test_buffers_are_taken_too(self) -> None:
        wrapped = wrap(bytearray(KEK), bytearray(b"k" * 32), ROW)

        assert unwrap(memoryview(KEK), bytearray(wrapped), ROW) == b"k" * 32

    def test_the_nonce_is_what_entropy_gives_and_new_each_time(self) -> None:
        assert wrap(KEK, b"key", ROW, entropy=bytes)[:12] == bytes(12)
        assert len({wrap(KEK, b"key", ROW)[:12] for _ in range(100)}) == 100

    def test_another_wrapping_key_does_not_unwrap(self) -> None:
        with pytest.raises(Tampered):
            unwrap(bytes(32), wrap(KEK, b"key", ROW), ROW)

    @pytest.mark.parametrize(
        "row",
        [
            row_context("request_key", row_id=bytes(16), purpose="content", epoch="2026-W30"),
            row_context("subject_key", row_id=b"\1" * 16, purpose="content", epoch="2026-W30"),
            row_context("subject_key", row_id=bytes(16), purpose="comms", epoch="2026-W30"),
            row_context("subject_key", row_id=bytes(16), purpose="content", epoch="2026-W31"),
        ],
    )
    def test_a_row_cannot_take_another_rows_key(self, row: bytes) -> None:
        with pytest.raises(Tampered):
            unwrap(KEK, wrap(KEK, b"key", ROW), row)

    def test_the_bytes_that_tie_a_key_to_its_row_do_not_change(self) -> None:
        assert row_context("a", row_id=b"bc", purpose="", epoch="d") == (
            b"habeas/wrap/v1\0\0\0\0\1a\0\0\0\2bc\0\0\0\0\0\0\0\1d"
        )

    def test_no_bit_can_be_flipped_and_no_end_cut_off(self) -> None:
        wrapped = wrap(KEK, b"key", ROW)

        for index in range(len(wrapped)):
            altered = bytearray(wrapped)
            altered[index] ^= 1
            with pytest.raises(Tampered):
                unwrap(KEK, altered, ROW)
            with pytest.raises(Tampered):
                unwrap(KEK, wrapped[:index], ROW)

    @pytest.mark.parametrize("length", [0, 16, 24, 33])
    def test_no_shorter_aes_is_used_by_mistake(self, length: int) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            wrap(bytes(length), b"key", ROW)
        with pytest.raises(ValueError, match="32 bytes"):
            unwrap(bytes(length), bytes(40), ROW)


class TestCommitments:
    def test_a_commitment_is_an_hmac_over_framed_fields(self) -> None:
        message = b"habeas/ref/v1\0\0\0\0\x04acme\0\0\0\x02\xc3\xa9"

        expected = hmac.new(KEK, message, hashlib.sha256).digest()

        assert commit(KEK, "habeas/ref/v1", "acme", "é") == expected

    def test_the_edge_between_fields_counts(self) -> None:
        values = {
            commit(KEK, "label", "ab", "c"),
            commit(KEK, "label", "a", "bc"),
            commit(KEK, "label", "abc"),
            commit(KEK, "label", "abc", ""),
            commit(KEK, "labela", "bc"),
            commit(bytes(32), "label", "abc"),
        }

        assert len(values) == 6

    def test_a_fingerprint_names_a_key(self) -> None:
        assert fingerprint(KEK) == hashlib.sha256(b"habeas/key/v1\0" + KEK).digest()
        assert fingerprint(bytearray(KEK)) == fingerprint(KEK)

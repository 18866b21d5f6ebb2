"""Both directions are tried with the real `ssh-keygen`, for that is what people will verify with."""

import base64
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import sshsig
from proofs.failures import BadSignature, Malformed
from proofs.framing import prefixed32
from proofs.keys import SigningKey
from proofs.sshsig import NAMESPACE, allowed_signers_line, sign, verify

PAIR = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(32))
PRINCIPAL = "privacy@example.org"
SUMS = b"0" * 64 + b"  manifest.json\n"

with_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)


def ssh_verifies(folder: Path, message: bytes, signature: bytes, line: str, **options: str) -> bool:
    """Whether `ssh-keygen -Y verify`, called as our README says, is content."""
    (folder / "allowed_signers").write_text(line + "\n")
    (folder / "SHA256SUMS.sig").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", PRINCIPAL]
    command += ["-n", options.pop("namespace", NAMESPACE), "-s", "SHA256SUMS.sig"]
    for name, value in options.items():
        command += ["-O", f"{name.replace('_', '-')}={value}"]
    run = subprocess.run(command, cwd=folder, input=message, capture_output=True, check=False)
    return run.returncode == 0


def ssh_signs(folder: Path, signer: SigningKey, message: bytes, *options: str) -> bytes:
    key, file = folder / "key", folder / "SHA256SUMS"
    key.write_bytes(signer.openssh_pem())
    key.chmod(0o600)
    file.write_bytes(message)
    command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, *options, str(file)]
    subprocess.run(command, capture_output=True, check=True)
    return (folder / "SHA256SUMS.sig").read_bytes()


def armored(blob: bytes) -> bytes:
    body = base64.encodebytes(blob).replace(b"\n", b"")
    return b"-----BEGIN SSH SIGNATURE-----\n" + body + b"\n-----END SSH SIGNATURE-----\n"


def blob_of(signature: bytes) -> bytes:
    return base64.b64decode(b"".join(signature.splitlines()[1:-1]))


@with_ssh_keygen
class TestWithSshKeygen:
    @pytest.mark.parametrize("message", [SUMS, b"", bytes(range(256)) * 1000])
    def test_it_verifies_what_we_sign(self, tmp_path: Path, message: bytes) -> None:
        line = allowed_signers_line(PRINCIPAL, PAIR.public)

        assert ssh_verifies(tmp_path, message, sign(PAIR, message), line)

    @pytest.mark.parametrize("hash_name", ["sha512", "sha256"])
    def test_we_verify_what_it_signs(self, tmp_path: Path, hash_name: str) -> None:
        signature = ssh_signs(tmp_path, PAIR, SUMS, "-O", f"hashalg={hash_name}")

        verify(signature, SUMS, PAIR.public)

    def test_both_write_the_same_bytes(self, tmp_path: Path) -> None:
        assert sign(PAIR, SUMS) == ssh_signs(tmp_path, PAIR, SUMS)

    def test_it_refuses_another_message(self, tmp_path: Path) -> None:
        line = allowed_signers_line(PRINCIPAL, PAIR.public)

        assert not ssh_verifies(tmp_path, SUMS + b"x", sign(PAIR, SUMS), line)

    def test_it_refuses_another_key(self, tmp_path: Path) -> None:
        line = allowed_signers_line(PRINCIPAL, OTHER.public)

        assert not ssh_verifies(tmp_path, SUMS, sign(PAIR, SUMS), line)

    def test_it_refuses_another_namespace(self, tmp_path: Path) -> None:
        signature = sign(PAIR, SUMS, namespace="file")
        line = allowed_signers_line(PRINCIPAL, PAIR.public)

        assert not ssh_verifies(tmp_path, SUMS, signature, line)
        assert not ssh_verifies(tmp_path, SUMS, signature, line, namespace="file")

    def test_it_refuses_another_principal(self, tmp_path: Path) -> None:
        line = allowed_signers_line("someone@example.com", PAIR.public)

        assert not ssh_verifies(tmp_path, SUMS, sign(PAIR, SUMS), line)

    def test_it_heeds_the_end_of_a_key(self, tmp_path: Path) -> None:
        end = datetime(2027, 3, 1, 12, 30, 15, tzinfo=UTC)
        line = allowed_signers_line(PRINCIPAL, PAIR.public, valid_before=end)
        signature = sign(PAIR, SUMS)

        assert ssh_verifies(tmp_path, SUMS, signature, line, verify_time="20270301123014Z")
        assert not ssh_verifies(tmp_path, SUMS, signature, line, verify_time="20270301123016Z")

    def test_we_refuse_what_it_signed_for_another_message(self, tmp_path: Path) -> None:
        signature = ssh_signs(tmp_path, PAIR, SUMS)

        with pytest.raises(BadSignature):
            verify(signature, SUMS + b"x", PAIR.public)


class TestVerifying:
    def test_what_we_sign_verifies(self) -> None:
        verify(sign(PAIR, SUMS), SUMS, PAIR.public)

    def test_another_message_is_refused(self) -> None:
        with pytest.raises(BadSignature, match="signature"):
            verify(sign(PAIR, SUMS), SUMS[:-1], PAIR.public)

    def test_another_key_is_refused(self) -> None:
        with pytest.raises(BadSignature, match="key"):
            verify(sign(PAIR, SUMS), SUMS, OTHER.public)

    def test_another_namespace_is_refused(self) -> None:
        with pytest.raises(BadSignature, match="namespace"):
            verify(sign(PAIR, SUMS, namespace="file"), SUMS, PAIR.public)

    def test_a_renamed_namespace_is_refused(self) -> None:
        blob = blob_of(sign(PAIR, SUMS, namespace="habeas-expert"))

        with pytest.raises(BadSignature, match="signature"):
            verify(armored(blob.replace(b"expert", b"export")), SUMS, PAIR.public)

    def test_a_signature_over_the_bare_message_is_refused(self) -> None:
        raw = prefixed32(b"ssh-ed25519") + prefixed32(PAIR.sign(SUMS))
        genuine = blob_of(sign(PAIR, SUMS))

        with pytest.raises(BadSignature, match="signature"):
            verify(armored(genuine[: -len(raw)] + raw), SUMS, PAIR.public)

    @given(st.data())
    def test_no_bit_can_be_flipped(self, data: st.DataObject) -> None:
        blob = bytearray(blob_of(sign(PAIR, SUMS)))
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))

        with pytest.raises((BadSignature, Malformed)):
            verify(armored(bytes(blob)), SUMS, PAIR.public)

    def test_no_end_can_be_cut_off_or_added(self) -> None:
        blob = blob_of(sign(PAIR, SUMS))

        for length in range(len(blob)):
            with pytest.raises(Malformed):
                verify(armored(blob[:length]), SUMS, PAIR.public)
        with pytest.raises(Malformed):
            verify(armored(blob + b"\0"), SUMS, PAIR.public)

    def test_a_longer_signature_field_is_refused(self) -> None:
        raw = prefixed32(b"ssh-ed25519") + prefixed32(bytes(64))
        start = blob_of(sign(PAIR, SUMS))[: -4 - len(raw)]

        with pytest.raises(Malformed):
            verify(armored(start + prefixed32(raw + b"\0")), SUMS, PAIR.public)

    @pytest.mark.parametrize(
        ("code", "genuine", "other"),
        [
            ("sshsig", b"SSHSIG\x00\x00\x00\x01", b"SSHSIG\x00\x00\x00\x02"),
            ("sshsig", b"SSHSIG\x00\x00\x00\x01", b"SSHSIX\x00\x00\x00\x01"),
            ("hash-algorithm", b"sha512", b"sha384"),
            (
                "signature-algorithm",
                b"\x00\x00\x00\x53\x00\x00\x00\x0bssh-ed25519",
                b"\x00\x00\x00\x53\x00\x00\x00\x0bssh-ed25518",
            ),
        ],
    )
    def test_what_we_do_not_know_is_refused(self, code: str, genuine: bytes, other: bytes) -> None:
        blob = blob_of(sign(PAIR, SUMS))
        assert blob.count(genuine) == 1

        with pytest.raises(Malformed, match=code):
            verify(armored(blob.replace(genuine, other)), SUMS, PAIR.public)

    def test_the_reserved_field_is_signed_but_may_hold_anything(self) -> None:
        """PROTOCOL.sshsig: implementations should ignore the reserved field."""
        signed = sshsig._signed(NAMESPACE.encode(), b"tag", b"sha256", SUMS)
        key = prefixed32(b"ssh-ed25519") + prefixed32(PAIR.public.raw)
        raw = prefixed32(b"ssh-ed25519") + prefixed32(PAIR.sign(signed))
        fields = (key, NAMESPACE.encode(), b"tag", b"sha256", raw)

        blob = b"SSHSIG\0\0\0\1" + b"".join(map(prefixed32, fields))

        verify(armored(blob), SUMS, PAIR.public)

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
            sign(PAIR, SUMS)[1:],
            sign(PAIR, SUMS)[:-2],
            b"\n" + sign(PAIR, SUMS),
            sign(PAIR, SUMS) + b"more\n",
            sign(PAIR, SUMS).replace(b"U1", b"!!", 1),
            sign(PAIR, SUMS).replace(b"U1", "é".encode(), 1),
        ],
    )
    def test_what_is_not_armored_like_that_is_refused(self, text: bytes) -> None:
        with pytest.raises(Malformed):
            verify(text, SUMS, PAIR.public)

    def test_line_ends_of_windows_do_no_harm(self) -> None:
        verify(sign(PAIR, SUMS).replace(b"\n", b"\r\n"), SUMS, PAIR.public)

    def test_a_namespace_is_not_empty(self) -> None:
        with pytest.raises(ValueError, match="namespace"):
            sign(PAIR, SUMS, namespace="")


class TestAllowedSigners:
    def test_a_line_names_principal_namespace_and_key(self) -> None:
        encoded = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + PAIR.public.raw).decode()

        assert allowed_signers_line(PRINCIPAL, PAIR.public) == (
            f'privacy@example.org namespaces="habeas-export" ssh-ed25519 {encoded}'
        )

    @pytest.mark.parametrize(
        "principal", ["", "a b", "a\nb", "*@example.org", "!a", "a,b", "#a", '"a"', "a?"]
    )
    def test_a_principal_is_no_pattern_and_no_list(self, principal: str) -> None:
        with pytest.raises(ValueError, match="plain"):
            allowed_signers_line(principal, PAIR.public)

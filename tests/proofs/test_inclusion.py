from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import checkpoints
from proofs.checkpoints import Checkpoint, cosign
from proofs.failures import BadProof, BadSignature, Malformed
from proofs.inclusion import LogProof, check_logged, decision_leaf
from proofs.keys import SigningKey
from proofs.notes import NoteKey, SignatureKind
from proofs.tree import Tree, leaf_hash

LOG, WITNESS = SigningKey(bytes(32)), SigningKey(b"\1" * 32)
LOG_ID = bytes(range(16))
ORIGIN = "habeas.example/log/7f3a/p/4"
LOG_KEY = NoteKey(name=ORIGIN, public=LOG.public)
WITNESS_KEY = NoteKey(
    name="witness.example", public=WITNESS.public, kind=SignatureKind.COSIGNATURE_V1
)
LEAVES = [leaf_hash(decision_leaf(LOG_ID, 4, seq, b"key", b"value")) for seq in range(11)]
TREE = Tree(LEAVES)
NOTE = cosign(
    checkpoints.sign(Checkpoint(origin=ORIGIN, size=11, root=TREE.root()), LOG),
    "witness.example",
    WITNESS,
    datetime(2026, 3, 1, tzinfo=UTC),
)


def proof_of(index: int) -> LogProof:
    return LogProof(index=index, path=tuple(TREE.inclusion(index)), checkpoint=NOTE)


class TestLeaf:
    def test_its_bytes_do_not_change(self) -> None:
        assert decision_leaf(LOG_ID, 4, 258, b"key", b"\xc3\x01value") == (
            b"habeas/leaf/v1\x00" + LOG_ID + b"\x00\x00\x00\x04"
            b"\x00\x00\x00\x00\x00\x00\x01\x02"
            b"\x00\x00\x00\x03key"
            b"\x00\x00\x00\x07\xc3\x01value"
        )

    def test_what_moves_over_the_edge_of_a_field_is_seen(self) -> None:
        assert decision_leaf(LOG_ID, 0, 0, b"ab", b"c") != decision_leaf(LOG_ID, 0, 0, b"a", b"bc")

    @pytest.mark.parametrize("length", [0, 15, 17])
    def test_a_log_id_has_sixteen_bytes(self, length: int) -> None:
        with pytest.raises(ValueError, match="16 bytes"):
            decision_leaf(bytes(length), 0, 0, b"", b"")


class TestText:
    def test_it_is_the_text_of_the_specification(self) -> None:
        proof = LogProof(index=3, path=(bytes(32), b"\1" * 32), checkpoint=NOTE, extra=b"note")

        assert proof.encode().startswith(
            b"c2sp.org/tlog-proof@v1\n"
            b"extra bm90ZQ==\n"
            b"index 3\n"
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            b"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
            b"\n" + NOTE
        )

    @given(
        index=st.integers(0, (1 << 63) - 1),
        path=st.lists(st.binary(min_size=32, max_size=32), max_size=63),
        extra=st.binary(max_size=50),
    )
    def test_it_reads_as_it_was_written(self, index: int, path: list[bytes], extra: bytes) -> None:
        proof = LogProof(index=index, path=tuple(path), checkpoint=NOTE, extra=extra)

        assert LogProof.decode(proof.encode()) == proof

    def test_a_path_is_as_long_as_the_highest_tree_needs(self) -> None:
        highest = LogProof(index=0, path=(bytes(32),) * 63, checkpoint=NOTE)

        assert LogProof.decode(highest.encode()) == highest

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            NOTE,
            b"c2sp.org/tlog-proof@v2\nindex 0\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nindex 00\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nindex -1\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nindex \xd9\xa3\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nindex 1\nextra YQ==\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nextra YQ==\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nextra YR==\nindex 1\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n" + NOTE,
            b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"A" * 43 + b"=\n" + NOTE.partition(b"\n\n")[0],
            LogProof(index=0, path=(bytes(32),) * 64, checkpoint=NOTE).encode(),
        ],
    )
    def test_what_is_no_proof_is_refused(self, text: bytes) -> None:
        with pytest.raises(Malformed):
            LogProof.decode(text)


class TestChecking:
    @pytest.mark.parametrize("index", range(11))
    def test_a_logged_decision_is_proved_offline(self, index: int) -> None:
        proof = LogProof.decode(proof_of(index).encode())

        verified = check_logged(LEAVES[index], proof, LOG_KEY, witnesses=[WITNESS_KEY], quorum=1)

        assert verified.checkpoint.size == 11
        assert verified.cosignatures[0].witness == WITNESS_KEY

    def test_another_decision_is_refused(self) -> None:
        other = leaf_hash(decision_leaf(LOG_ID, 4, 3, b"key", b"other"))

        with pytest.raises(BadProof):
            check_logged(other, proof_of(3), LOG_KEY)

    def test_another_index_is_refused(self) -> None:
        with pytest.raises(BadProof):
            check_logged(LEAVES[3], replace(proof_of(3), index=4), LOG_KEY)

    def test_another_log_is_refused(self) -> None:
        with pytest.raises(BadSignature):
            check_logged(LEAVES[3], proof_of(3), replace(LOG_KEY, public=WITNESS.public))

    def test_a_missing_witness_is_noticed(self) -> None:
        with pytest.raises(BadSignature, match="quorum"):
            check_logged(LEAVES[3], proof_of(3), LOG_KEY, quorum=1)

    def test_an_unsigned_checkpoint_is_refused(self) -> None:
        forged = Checkpoint(origin=ORIGIN, size=1, root=LEAVES[3])
        note = checkpoints.sign(forged, WITNESS)

        with pytest.raises(BadSignature):
            check_logged(LEAVES[3], LogProof(index=0, path=(), checkpoint=note), LOG_KEY)

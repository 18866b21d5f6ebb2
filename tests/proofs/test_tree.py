import itertools
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proofs import tree
from proofs.failures import BadProof, Malformed
from proofs.tree import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
)

# The eight entries that implementations of RFC 6962 have tested with since the first one, and the
# root after each.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(index.to_bytes(4, "big")) for index in range(300)]
FOREST = Tree(LEAVES)
STRANGER = sha256(b"stranger").digest()


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 2.1, word for word: the definition, not how anyone would compute it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = max(1 << power for power in range(20) if 1 << power < len(leaves))
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def proves_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    try:
        check_inclusion(leaf, index, size, proof, root)
    except BadProof:
        return False
    return True


def proves_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    try:
        check_consistency(old_size, old_root, new_size, new_root, proof)
    except BadProof:
        return False
    return True


def spoiled(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with one thing wrong, in every way but one that changes nothing."""
    variants = [[*proof, STRANGER], [STRANGER, *proof], [*proof, *proof[-1:]], proof[::-1]]
    for place, node in enumerate(proof):
        before, after = proof[:place], proof[place + 1 :]
        flipped = bytes([node[0] ^ 1]) + node[1:]
        variants += [[*before, *after], [*before, flipped, *after], [*before, node[:-1], *after]]
    return [variant for variant in variants if variant != proof]


class TestRoots:
    @pytest.mark.parametrize("size", range(1, 9))
    def test_the_known_trees_have_the_known_roots(self, size: int) -> None:
        leaves = [leaf_hash(entry) for entry in ENTRIES[:size]]

        assert tree.root(leaves).hex() == ROOTS[size - 1]

    def test_the_empty_tree_has_the_hash_of_nothing(self) -> None:
        assert tree.root([]) == EMPTY_ROOT == Tree().root()
        assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")

    def test_an_entry_can_never_pass_for_a_node(self) -> None:
        left, right = leaf_hash(b"left"), leaf_hash(b"right")

        assert leaf_hash(left + right) != node_hash(left, right)

    @pytest.mark.parametrize("size", [*range(70), 127, 128, 129, 255, 256, 300])
    def test_every_way_to_the_root_gives_the_defined_one(self, size: int) -> None:
        expected = defined_root(LEAVES[:size])

        assert tree.root(LEAVES[:size]) == expected
        assert Tree(LEAVES[:size]).root() == expected
        assert FOREST.root(size) == expected


class TestFrontier:
    @given(st.integers(0, 200), st.integers(0, 100))
    def test_it_goes_on_where_it_was_stored(self, size: int, more: int) -> None:
        first = Frontier()
        for leaf in LEAVES[:size]:
            first.append(leaf)

        second = Frontier(first.size, first.nodes)
        for leaf in LEAVES[size : size + more]:
            second.append(leaf)

        assert second.root() == FOREST.root(size + more)
        assert second.size == size + more
        assert first.root() == FOREST.root(size)

    def test_it_holds_one_node_for_each_bit_of_its_size(self) -> None:
        frontier = Frontier()
        for leaf in LEAVES[:13]:
            frontier.append(leaf)

        assert frontier.nodes == (
            defined_root(LEAVES[:8]),
            defined_root(LEAVES[8:12]),
            LEAVES[12],
        )

    def test_it_tells_of_each_node_that_becomes_full(self) -> None:
        frontier, told = Frontier(), []
        for leaf in LEAVES[:4]:
            frontier.append(leaf, lambda level, index, node: told.append((level, index, node)))

        assert told == [
            (0, 0, LEAVES[0]),
            (0, 1, LEAVES[1]),
            (1, 0, defined_root(LEAVES[:2])),
            (0, 2, LEAVES[2]),
            (0, 3, LEAVES[3]),
            (1, 1, defined_root(LEAVES[2:4])),
            (2, 0, defined_root(LEAVES[:4])),
        ]

    @pytest.mark.parametrize(
        ("size", "nodes"),
        [
            (1, []),
            (0, [STRANGER]),
            (3, [STRANGER]),
            (4, [STRANGER] * 2),
            (1, [b""]),
            (-1, [STRANGER]),
        ],
    )
    def test_nodes_that_do_not_fit_the_size_are_refused(
        self, size: int, nodes: list[bytes]
    ) -> None:
        with pytest.raises(Malformed):
            Frontier(size, nodes)


class TestInclusion:
    def test_the_proofs_of_the_seven_leaf_example_are_those_of_the_rfc(self) -> None:
        a, b, c, d, e, f, j = LEAVES[:7]
        g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
        k, seven = node_hash(g, h), Tree(LEAVES[:7])

        assert seven.inclusion(0) == [b, h, node_hash(i, j)]
        assert seven.inclusion(3) == [c, g, node_hash(i, j)]
        assert seven.inclusion(4) == [f, j, k]
        assert seven.inclusion(6) == [i, k]

    @pytest.mark.parametrize("size", [*range(1, 35), 64, 65, 300])
    def test_every_leaf_of_a_tree_can_be_proved(self, size: int) -> None:
        for index in range(size):
            proof = FOREST.inclusion(index, size)

            check_inclusion(LEAVES[index], index, size, proof, FOREST.root(size))
            assert len(proof) <= (size - 1).bit_length()

    @pytest.mark.parametrize("size", range(1, 18))
    def test_a_spoiled_proof_proves_nothing(self, size: int) -> None:
        for index in range(size):
            for proof in spoiled(FOREST.inclusion(index, size)):
                assert not proves_inclusion(LEAVES[index], index, size, proof, FOREST.root(size))

    @pytest.mark.parametrize("size", range(1, 18))
    def test_a_proof_is_of_one_leaf_one_index_and_one_root(self, size: int) -> None:
        root = FOREST.root(size)
        for index in range(size):
            proof = FOREST.inclusion(index, size)

            assert not proves_inclusion(STRANGER, index, size, proof, root)
            assert not proves_inclusion(LEAVES[index], index, size, proof, STRANGER)
            for other in set(range(-1, size + 1)) - {index}:
                assert not proves_inclusion(LEAVES[index], other, size, proof, root)

    @pytest.mark.parametrize(
        ("code", "index", "proof"),
        [
            ("index", 7, FOREST.inclusion(6, 7)),
            ("too-long", 6, [*FOREST.inclusion(6, 7), STRANGER]),
            ("too-short", 6, FOREST.inclusion(6, 7)[:-1]),
            ("hash", 6, [STRANGER[:-1], STRANGER]),
            ("root", 6, [STRANGER, STRANGER]),
        ],
    )
    def test_a_refusal_says_what_was_wrong(self, code: str, index: int, proof: list[bytes]) -> None:
        with pytest.raises(BadProof, match=f"^{code}$"):
            check_inclusion(LEAVES[6], index, 7, proof, FOREST.root(7))

    def test_a_node_is_no_leaf_of_a_smaller_tree(self) -> None:
        root, inner = FOREST.root(4), defined_root(LEAVES[:2])

        assert not proves_inclusion(inner, 0, 4, [defined_root(LEAVES[2:4])], root)

    @pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0), (0, 301)])
    def test_there_is_no_proof_of_what_is_not_there(self, index: int, size: int) -> None:
        with pytest.raises(ValueError, match="tree"):
            FOREST.inclusion(index, size)


class TestConsistency:
    def test_the_proofs_of_the_seven_leaf_example_are_those_of_the_rfc(self) -> None:
        a, b, c, d, e, f, j = LEAVES[:7]
        g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
        k, l, seven = node_hash(g, h), node_hash(i, j), Tree(LEAVES[:7])  # noqa: E741 - its name there

        assert seven.consistency(3) == [c, d, g, l]
        assert seven.consistency(4) == [l]
        assert seven.consistency(6) == [i, j, k]

    @pytest.mark.parametrize("new_size", [*range(35), 64, 65, 300])
    def test_every_earlier_tree_is_a_beginning(self, new_size: int) -> None:
        new_root = FOREST.root(new_size)
        for old_size in range(new_size + 1):
            proof = FOREST.consistency(old_size, new_size)

            check_consistency(old_size, FOREST.root(old_size), new_size, new_root, proof)
            assert len(proof) <= new_size.bit_length() + 1

    @pytest.mark.parametrize(("old_size", "new_size"), list(itertools.combinations(range(16), 2)))
    def test_a_spoiled_proof_proves_nothing(self, old_size: int, new_size: int) -> None:
        old_root, new_root = FOREST.root(old_size), FOREST.root(new_size)

        for proof in spoiled(FOREST.consistency(old_size, new_size)):
            assert not proves_consistency(old_size, old_root, new_size, new_root, proof)

    @pytest.mark.parametrize(
        ("old_size", "new_size"), list(itertools.combinations(range(1, 16), 2))
    )
    def test_a_proof_is_of_two_roots_and_of_the_old_size(
        self, old_size: int, new_size: int
    ) -> None:
        old_root, new_root = FOREST.root(old_size), FOREST.root(new_size)
        proof = FOREST.consistency(old_size, new_size)

        assert not proves_consistency(old_size, STRANGER, new_size, new_root, proof)
        assert not proves_consistency(old_size, old_root, new_size, STRANGER, proof)
        assert not proves_consistency(old_size + 1, old_root, new_size, new_root, proof)
        assert not proves_consistency(old_size, new_root, new_size, old_root, proof)

    @given(st.integers(1, 300), st.integers(1, 300), st.data())
    def test_a_rewritten_past_cannot_be_proved(
        self, one: int, other: int, data: st.DataObject
    ) -> None:
        old_size, new_size = sorted((one, other))
        changed = data.draw(st.integers(0, old_size - 1))
        rewritten = Tree([*LEAVES[:changed], STRANGER, *LEAVES[changed + 1 : new_size]])
        assume(rewritten.root() != FOREST.root(new_size))

        proof = rewritten.consistency(old_size)

        old_root = FOREST.root(old_size)
        assert not proves_consistency(old_size, old_root, new_size, rewritten.root(), proof)

    @pytest.mark.parametrize(
        ("code", "sizes", "proof"),
        [
            ("size", (7, 6), []),
            ("size", (-1, 6), []),
            ("too-short", (3, 7), []),
            ("too-short", (3, 7), FOREST.consistency(3, 7)[:-1]),
            ("too-long", (3, 7), [*FOREST.consistency(3, 7), STRANGER]),
            ("too-long", (7, 7), [STRANGER]),
            ("hash", (3, 7), [STRANGER, STRANGER[:-1], STRANGER, STRANGER]),
            ("old-root", (3, 7), [STRANGER, *FOREST.consistency(3, 7)[1:]]),
            ("new-root", (3, 7), [*FOREST.consistency(3, 7)[:-1], STRANGER]),
        ],
    )
    def test_a_refusal_says_what_was_wrong(
        self, code: str, sizes: tuple[int, int], proof: list[bytes]
    ) -> None:
        old_size, new_size = sizes
        old_root, new_root = FOREST.root(max(old_size, 0)), FOREST.root(new_size)

        with pytest.raises(BadProof, match=f"^{code}$"):
            check_consistency(old_size, old_root, new_size, new_root, proof)

    def test_a_tree_that_shrank_is_not_consistent(self) -> None:
        assert not proves_consistency(5, FOREST.root(5), 4, FOREST.root(4), [])
        assert not proves_consistency(-1, EMPTY_ROOT, 4, FOREST.root(4), [])
        with pytest.raises(ValueError, match="grows"):
            FOREST.consistency(5, 4)
        with pytest.raises(ValueError, match="grows"):
            FOREST.consistency(-1, 4)

    def test_equal_sizes_need_equal_roots_and_no_proof(self) -> None:
        root = FOREST.root(5)

        assert proves_consistency(5, root, 5, root, [])
        assert not proves_consistency(5, root, 5, STRANGER, [])
        assert not proves_consistency(5, root, 5, root, [STRANGER])

    def test_the_empty_tree_begins_every_tree_but_has_its_own_root(self) -> None:
        assert proves_consistency(0, EMPTY_ROOT, 5, FOREST.root(5), [])
        assert proves_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
        assert not proves_consistency(0, STRANGER, 5, FOREST.root(5), [])
        assert not proves_consistency(0, EMPTY_ROOT, 5, FOREST.root(5), [STRANGER])
        assert not proves_consistency(0, EMPTY_ROOT, 0, STRANGER, [])


@pytest.mark.parametrize("size", [-1, 301])
def test_a_tree_answers_only_for_sizes_it_had(size: int) -> None:
    with pytest.raises(ValueError, match="never had"):
        FOREST.root(size)

"""RFC 6962 Merkle trees over SHA-256: roots, inclusion and consistency, proved and checked.

Nodes are named by (level, index): level 0 holds the leaf hashes, node (l, i) covers the leaves
i · 2^l … (i + 1) · 2^l. Only full nodes have a name and never change once they exist, so they can
be stored anywhere; a `NodeReader` fetches them. Sizes and indexes count leaves.

What a leaf holds is not decided here; see `inclusion.decision_leaf`.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from proofs.failures import BadProof, Malformed

HASH_BYTES: Final = 32

NodeReader = Callable[[int, int], bytes]
"""Gives the 32-byte hash of the full node (level, index)."""

NodeWriter = Callable[[int, int, bytes], object]
"""Takes (level, index, hash) of each node at the moment it becomes full."""

EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 2.1: SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """As much of a tree as it takes to grow it and to know its root: at most 64 hashes.

    `nodes` are the roots of the largest full subtrees, left to right, one for each bit of `size`.
    """

    __slots__ = ("_nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        """Start empty, or go on where a stored frontier stood.

        Raises:
            Malformed: The nodes cannot be those of a tree of this size.

        """
        self.size = size
        self._nodes = list(nodes)
        fits = size >= 0 and len(self._nodes) == size.bit_count()
        if not fits or any(len(node) != HASH_BYTES for node in self._nodes):
            raise Malformed("frontier")

    @property
    def nodes(self) -> tuple[bytes, ...]:
        return tuple(self._nodes)

    def append(self, leaf: bytes, on_node: NodeWriter | None = None) -> None:
        """Add the hash of one more leaf, telling `on_node` of every node that it fills."""
        nodes, level, index = self._nodes, 0, self.size
        nodes.append(leaf)
        if on_node:
            on_node(0, index, leaf)
        # A new leaf closes one subtree for each trailing one bit of the old size.
        while index & 1:
            right = nodes.pop()
            nodes[-1] = sha256(b"\x01" + nodes[-1] + right).digest()
            level, index = level + 1, index >> 1
            if on_node:
                on_node(level, index, nodes[-1])
        self.size += 1

    def root(self) -> bytes:
        return _folded(self._nodes) if self._nodes else EMPTY_ROOT


class Tree:
    """A whole tree in memory, 64 bytes a leaf: roots and proofs of every size it ever had."""

    __slots__ = ("_frontier", "_levels")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._frontier = Frontier()
        self._levels: list[bytearray] = []
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        return self._frontier.size

    def append(self, leaf: bytes) -> None:
        """Add the hash of one more leaf."""
        self._frontier.append(leaf, self._keep)

    def node(self, level: int, index: int) -> bytes:
        """The full node (level, index); a `NodeReader`."""
        start = index * HASH_BYTES
        return bytes(self._levels[level][start : start + HASH_BYTES])

    def root(self, size: int | None = None) -> bytes:
        return root_at(self.node, self._within(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        return inclusion_proof(self.node, index, self._within(size))

    def consistency(self, old_size: int, new_size: int | None = None) -> list[bytes]:
        return consistency_proof(self.node, old_size, self._within(new_size))

    def _keep(self, level: int, _index: int, node: bytes) -> None:
        if level == len(self._levels):
            self._levels.append(bytearray())
        self._levels[level] += node

    def _within(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ValueError("the tree never had this size")
        return size


def root(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes, in one pass and constant memory."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def root_at(node: NodeReader, size: int) -> bytes:
    """Root of the first `size` leaves."""
    return _span(node, 0, size) if size else EMPTY_ROOT


def inclusion_proof(node: NodeReader, index: int, size: int) -> list[bytes]:
    """RFC 6962 2.1.1: the hashes that lead from leaf `index` to the root of `size` leaves.

    Raises:
        ValueError: There is no such leaf in a tree of this size.

    """
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    path = []
    begin, end = 0, size
    while end - begin > 1:
        middle = _middle(begin, end)
        if index < middle:
            path.append(_span(node, middle, end))
            end = middle
        else:
            path.append(_span(node, begin, middle))
            begin = middle
    return path[::-1]


def consistency_proof(node: NodeReader, old_size: int, new_size: int) -> list[bytes]:
    """RFC 6962 2.1.2: the hashes that show the old tree to be the beginning of the new one.

    Empty if the sizes are equal or the old tree is.

    Raises:
        ValueError: The old tree is larger than the new one.

    """
    if not 0 <= old_size <= new_size:
        raise ValueError("a tree only grows")
    if old_size == 0:
        return []
    path = []
    begin, end = 0, new_size
    while old_size != end:
        middle = _middle(begin, end)
        if old_size <= middle:
            path.append(_span(node, middle, end))
            end = middle
        else:
            path.append(_span(node, begin, middle))
            begin = middle
    if begin:
        # SUBPROOF's flag: once we went right, the verifier does not know this subtree's hash.
        path.append(_span(node, begin, end))
    return path[::-1]


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if the leaf hash stands at `index` of the tree with this size and root.

    Raises:
        BadProof: The proof does not show it (RFC 9162 2.1.3.2, step by step).

    """
    if not 0 <= index < size:
        raise BadProof("index")
    first, last, climbed = index, size - 1, leaf
    for sibling in proof:
        _must_be_hash(sibling)
        if last == 0:
            raise BadProof("too-long")
        if first & 1 or first == last:
            climbed = node_hash(sibling, climbed)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            climbed = node_hash(climbed, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise BadProof("too-short")
    if climbed != root:
        raise BadProof("root")


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the old tree is the beginning of the new one.

    Raises:
        BadProof: The proof does not show it (RFC 9162 2.1.4.2, step by step).

    """
    if not 0 <= old_size <= new_size:
        raise BadProof("size")
    if old_size in (0, new_size):
        _check_trivial(old_size, old_root, new_size, new_root, proof)
        return
    # Step 2: a full old tree is itself the first node, and is left out of the proof.
    is_full = old_size & (old_size - 1) == 0
    path = [old_root, *proof] if is_full else list(proof)
    if not path:
        raise BadProof("too-short")
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_climbed = new_climbed = path[0]
    for sibling in path[1:]:
        _must_be_hash(sibling)
        if last == 0:
            raise BadProof("too-long")
        if first & 1 or first == last:
            old_climbed = node_hash(sibling, old_climbed)
            new_climbed = node_hash(sibling, new_climbed)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new_climbed = node_hash(new_climbed, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise BadProof("too-short")
    if old_climbed != old_root:
        raise BadProof("old-root")
    if new_climbed != new_root:
        raise BadProof("new-root")


def _check_trivial(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Equal trees have equal roots, and every tree begins with the empty one: nothing to prove."""
    if proof:
        raise BadProof("too-long")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise BadProof("old-root")
    if old_size == new_size and old_root != new_root:
        raise BadProof("new-root")


def _middle(begin: int, end: int) -> int:
    """Where a subtree splits: after the largest power of two smaller than its size."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def _span(node: NodeReader, begin: int, end: int) -> bytes:
    """Hash of a subtree that the splitting reached, folded from its full nodes."""
    full = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        full.append(node(level, begin >> level))
        begin += 1 << level
    return _folded(full)


def _folded(nodes: Sequence[bytes]) -> bytes:
    folded = nodes[-1]
    for left in nodes[-2::-1]:
        folded = node_hash(left, folded)
    return folded


def _must_be_hash(sibling: bytes) -> None:
    if len(sibling) != HASH_BYTES:
        raise BadProof("hash")

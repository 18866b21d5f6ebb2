"""The ways in which bytes fail to prove anything.

Each carries a `code`: a fixed word that says which check failed and never holds content, so that
it may be logged. A caller's own mistakes (a key of 31 bytes) are `ValueError`s and not listed here.
"""


class Unproven(Exception):  # noqa: N818 - a verdict, and named like one
    """What every check in this room raises; catch a subclass where the difference matters."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Tampered(Unproven):
    """A ciphertext does not open: wrong key, wrong context, altered, reordered or cut.

    Which of these it was cannot be told, and should not be guessed.
    """


class Malformed(Unproven):
    """Bytes are not of the format that they claim to be of."""


class BadSignature(Unproven):
    """No trusted key signed this, or a trusted key's signature does not fit."""


class BadProof(Unproven):
    """A Merkle proof does not lead to the root it is held against."""

"""What can go wrong with the stack, said so that a person knows what to do next."""

from __future__ import annotations

import errno


class StackError(Exception):
    """A sentence for people, a code for programs, and the next step."""

    def __init__(self, code: str, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step}"


def no_disk(where: object, error: OSError) -> StackError:
    """Say which folder cannot be written, and whether the disk is full or the permission missing."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return StackError(
        "no_disk" if full else "not_writable",
        f"The disk that holds {where} is full." if full else f"{where} cannot be written.",
        "Free some space (the stack needs about 2 GB) and run the command again."
        if full
        else "Give yourself write permission there, or set HABEAS_CACHE / HABEAS_STATE elsewhere.",
    )

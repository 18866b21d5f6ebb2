"""A mailer that keeps what it was given; it passes the mailer's contract."""

from collections.abc import Callable

from plumbing.mail.protocol import Letter


def _no_fault(_letter: Letter) -> None:
    pass


class MemoryMailer:
    """`fault` is called before each letter and may raise what a mailer may raise."""

    def __init__(self, *, fault: Callable[[Letter], None] = _no_fault) -> None:
        self.fault = fault
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.fault(letter)
        self.letters.append(letter)

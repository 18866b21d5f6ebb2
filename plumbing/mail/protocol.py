"""A letter, and what a mailer promises about it. No wording and no idea of who gets what."""

import re
import unicodedata
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from typing import Final, Protocol

LETTER_INVALID: Final = "LETTER_INVALID"
# RFC 5322 3.6.4 without its obsolete forms, and without the angle brackets.
_MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")


class MailRefused(Exception):  # noqa: N818 -- Says what is, like all of ours.
    """The letter will not be taken, now or later. `code` is the server's, or LETTER_INVALID."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class MailUnavailable(Exception):  # noqa: N818
    """Not taken now, or not known whether it was. Sending it again under its id is right."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One letter to one person. Its repr shows only the id.

    `message_id` is given, not made: the same letter sent twice carries the same one, so that at
    most one copy of it is shown.

    Raises:
        MailRefused: the id, address or subject could smuggle a header or a second recipient.
    """

    message_id: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)

    def __post_init__(self) -> None:
        headers = (self.message_id, self.to, self.subject)
        if any(map(_has_controls, headers)) or not _MESSAGE_ID.fullmatch(self.message_id):
            raise MailRefused(LETTER_INVALID)
        # Python's parser knows no address beyond ASCII (RFC 6531); the rest of the rules are the
        # same, so any letter may stand in for those it does not know.
        stand_in = "".join(letter if letter.isascii() else "x" for letter in self.to)
        try:
            Address(addr_spec=stand_in)
        except (ValueError, IndexError, MessageError):
            raise MailRefused(LETTER_INVALID) from None


class Mailer(Protocol):
    """Hands letters over to something that delivers them."""

    def send(self, letter: Letter) -> None:
        """Hand over one letter; may block on the network.

        Raises:
            MailRefused: for good; give this letter up.
            MailUnavailable: try again later, with the same message id.
        """
        ...


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text)

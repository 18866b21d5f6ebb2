"""Letters by SMTP: one connection a letter, plain text and HTML side by side.

It keeps no queue and tries nothing twice: whoever sends knows what is still owed.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from enum import Enum

from plumbing.clock import Clock
from plumbing.config import Secret
from plumbing.mail.protocol import Letter, MailRefused, MailUnavailable

_LASTING = 500
_NO_PASSWORD = Secret("")


class Encryption(Enum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    host: str
    port: int
    sender: str
    encryption: Encryption = Encryption.STARTTLS
    username: str = ""
    password: Secret = _NO_PASSWORD
    timeout: timedelta = timedelta(seconds=20)


class SmtpMailer:
    def __init__(self, server: SmtpServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    def send(self, letter: Letter) -> None:
        message = self._composed(letter)
        with _in_our_words(), self._connected() as connection:
            connection.send_message(message, self._server.sender, [letter.to])

    def _composed(self, letter: Letter) -> EmailMessage:
        message = EmailMessage(policy=SMTP if letter.to.isascii() else SMTPUTF8)
        message["Message-ID"] = f"<{letter.message_id}>"
        message["Date"] = format_datetime(self._clock.now())
        message["From"] = self._server.sender
        message["To"] = letter.to
        message["Subject"] = letter.subject
        # RFC 3834: no out-of-office answers to a machine.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        return message

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        server = self._server
        seconds = server.timeout.total_seconds()
        context = ssl.create_default_context()
        connection: smtplib.SMTP
        if server.encryption is Encryption.TLS:
            connection = smtplib.SMTP_SSL(
                server.host, server.port, timeout=seconds, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=seconds)
        with connection:
            if server.encryption is Encryption.STARTTLS:
                connection.starttls(context=context)
            if server.username:
                connection.login(server.username, server.password.reveal())
            yield connection


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        # One letter, one recipient: the only entry tells.
        [(code, _)] = error.recipients.values()
        raise _of_code(code) from None
    except smtplib.SMTPResponseException as error:
        # A wrong password or sender is our own mistake, to be mended while letters wait.
        ours = (smtplib.SMTPAuthenticationError, smtplib.SMTPSenderRefused)
        if isinstance(error, ours):
            raise MailUnavailable(f"SMTP_{error.smtp_code}") from None
        raise _of_code(error.smtp_code) from None
    except smtplib.SMTPNotSupportedError:
        raise MailRefused("SMTP_NOT_SUPPORTED") from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailUnavailable(type(error).__name__) from error


def _of_code(code: int) -> MailRefused | MailUnavailable:
    # RFC 5321 4.2.1: 4yz is transient, 5yz is permanent.
    kind = MailRefused if code >= _LASTING else MailUnavailable
    return kind(f"SMTP_{code}")

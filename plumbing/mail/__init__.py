"""The post room: `protocol` says what a letter and a mailer are, `memory` and `smtp` send."""

from plumbing.mail.memory import MemoryMailer
from plumbing.mail.protocol import LETTER_INVALID, Letter, Mailer, MailRefused, MailUnavailable
from plumbing.mail.smtp import Encryption, SmtpMailer, SmtpServer

__all__ = [
    "LETTER_INVALID",
    "Encryption",
    "Letter",
    "MailRefused",
    "MailUnavailable",
    "Mailer",
    "MemoryMailer",
    "SmtpMailer",
    "SmtpServer",
]

"""The mail sink, over SMTP."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from devstack.mail import letters
from devstack.stack import Endpoints


@pytest.fixture
def session(smtp_endpoint: Endpoints) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(smtp_endpoint.smtp_host, smtp_endpoint.smtp_port, timeout=5) as opened:
        yield opened


def letter(to: str, subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "privacy@example.org", to, subject
    message.set_content("Größe: one line ends here.\n.\nA line with one dot stood above.\n")
    return message


def test_a_letter_is_kept_as_it_was_sent(session: smtplib.SMTP, smtp_endpoint: Endpoints) -> None:
    before = len(letters(smtp_endpoint.mail_folder))
    session.send_message(letter("ines@example.org", "kept"))
    kept = letters(smtp_endpoint.mail_folder)[before:]
    assert [one["Subject"] for one in kept] == ["kept"]
    assert "Größe" in kept[0].get_content()
    assert "\n.\nA line" in kept[0].get_content().replace("\r\n", "\n")


def test_letters_are_read_in_the_order_of_arrival(
    session: smtplib.SMTP, smtp_endpoint: Endpoints
) -> None:
    before = len(letters(smtp_endpoint.mail_folder))
    for number in range(12):
        session.send_message(letter("ines@example.org", f"number {number}"))
    kept = letters(smtp_endpoint.mail_folder)[before:]
    assert [one["Subject"] for one in kept] == [f"number {number}" for number in range(12)]


def test_a_mailbox_that_does_not_exist_is_refused_for_good(session: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        session.send_message(letter("nobody@example.org", "never kept"))
    assert refused.value.recipients["nobody@example.org"][0] == 550


def test_a_greylisted_mailbox_is_refused_for_now(session: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        session.send_message(letter("later@example.org", "not yet"))
    assert refused.value.recipients["later@example.org"][0] == 451

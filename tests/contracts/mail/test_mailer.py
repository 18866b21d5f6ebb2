"""What every mailer does, in memory or over SMTP against a real SMTP server inside the test."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from plumbing.clock import ManualClock
from plumbing.config import Secret
from plumbing.mail import (
    LETTER_INVALID,
    Encryption,
    Letter,
    Mailer,
    MailRefused,
    MailUnavailable,
    MemoryMailer,
    SmtpMailer,
    SmtpServer,
)

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


class FreePortController(Controller):
    """Listens where the system says; the original asks its own port 0 whether it is up."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@dataclass
class Sink:
    """Accepts letters, or answers what the test wants to hear."""

    answer: str = ""
    recipient_answer: str = ""
    accepted: list[Envelope] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name.
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self.recipient_answer:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 -- aiosmtpd's name.
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if not self.answer:
            self.accepted.append(envelope)
        return self.answer or "250 OK"

    def messages(self) -> list[EmailMessage]:
        contents = [envelope.content for envelope in self.accepted]
        return [
            email.message_from_bytes(content, policy=email.policy.default)
            for content in contents
            if isinstance(content, bytes)
        ]


def letter(**changes: str) -> Letter:
    given = {
        "message_id": "notice-1@habeas.example.org",
        "to": "ines@example.org",
        "subject": "Votre export est prêt",
        "text": "Bonjour Inès\n",
        "html": "<p>Bonjour Inès</p>\n",
    }
    return Letter(**{**given, **changes})


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def smtp(sink: Sink) -> Iterator[SmtpServer]:
    def authenticate(*arguments: object) -> AuthResult:
        given = arguments[4]
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given.password == b"correct", handled=False)

    controller = FreePortController(
        sink,
        hostname="127.0.0.1",
        port=0,
        enable_SMTPUTF8=True,
        auth_require_tls=False,
        authenticator=authenticate,
    )
    controller.start()
    try:
        yield SmtpServer(
            host="127.0.0.1",
            port=controller.port,
            sender="privacy@habeas.example.org",
            encryption=Encryption.NONE,
            timeout=timedelta(seconds=5),
        )
    finally:
        controller.stop()


@pytest.fixture(params=["memory", "smtp"])
def mailer(request: pytest.FixtureRequest) -> Mailer:
    if request.param == "memory":
        return MemoryMailer()
    return SmtpMailer(request.getfixturevalue("smtp"), ManualClock(NOW))


def test_a_letter_is_taken(mailer: Mailer) -> None:
    mailer.send(letter())


def test_a_letter_may_be_handed_over_twice_under_one_id(mailer: Mailer) -> None:
    mailer.send(letter())
    mailer.send(letter())


@pytest.mark.parametrize("part", ["message_id", "to", "subject"])
@pytest.mark.parametrize("smuggled", ["\r\nBcc: omar@example.org", "\n", "\r", "\x00", "\u2028"])
def test_no_header_can_be_smuggled_in(part: str, smuggled: str) -> None:
    with pytest.raises(MailRefused) as refused:
        letter(**{part: f"x{smuggled}@example.org"})
    assert refused.value.code == LETTER_INVALID


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "ines",
        "ines@",
        "ines@example.org, omar@example.org",
        "ines@example.org;omar@example.org",
        "Ines <ines@example.org>",
        "a@b@example.org",
    ],
)
def test_a_letter_goes_to_one_address_and_no_more(address: str) -> None:
    with pytest.raises(MailRefused):
        letter(to=address)


@pytest.mark.parametrize("message_id", ["", "no-domain", "<a@b>", "a b@c", "a@b@c", "a,b@c"])
def test_a_message_id_is_one_id(message_id: str) -> None:
    with pytest.raises(MailRefused):
        letter(message_id=message_id)


def test_a_letter_shows_nothing_of_the_person() -> None:
    shown = repr(letter())

    assert "notice-1" in shown
    for secret in ("ines", "Inès", "export"):
        assert secret not in shown


def test_the_memory_mailer_keeps_the_letters_and_fails_where_told() -> None:
    def full(_letter: Letter) -> None:
        raise MailUnavailable("SMTP_452")

    mailer = MemoryMailer()
    mailer.send(letter())
    mailer.fault = full
    with pytest.raises(MailUnavailable):
        mailer.send(letter())

    assert mailer.letters == [letter()]


def test_plain_text_and_html_stand_side_by_side(smtp: SmtpServer, sink: Sink) -> None:
    SmtpMailer(smtp, ManualClock(NOW)).send(letter())

    [message] = sink.messages()
    assert message["Message-ID"] == "<notice-1@habeas.example.org>"
    assert message["Subject"] == "Votre export est prêt"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == NOW
    plain, html = message.iter_parts()
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    assert plain.get_content().split() == ["Bonjour", "Inès"]
    assert html.get_content().strip() == "<p>Bonjour Inès</p>"
    assert html.get_content_type() == "text/html"
    assert sink.accepted[0].rcpt_tos == ["ines@example.org"]


def test_an_address_may_be_written_in_any_script(smtp: SmtpServer, sink: Sink) -> None:
    SmtpMailer(smtp, ManualClock(NOW)).send(letter(to="inès@exämple.example.org"))

    assert sink.accepted[0].rcpt_tos == ["inès@exämple.example.org"]


@pytest.mark.parametrize("answer", ["550 no such mailbox", "554 spam"])
def test_a_permanent_answer_is_a_refusal_with_its_code(
    smtp: SmtpServer, sink: Sink, answer: str
) -> None:
    sink.recipient_answer = answer

    with pytest.raises(MailRefused) as refused:
        SmtpMailer(smtp, ManualClock(NOW)).send(letter())
    assert refused.value.code == f"SMTP_{answer[:3]}"


def test_content_refused_for_good_is_a_refusal(smtp: SmtpServer, sink: Sink) -> None:
    sink.answer = "552 too big"

    with pytest.raises(MailRefused):
        SmtpMailer(smtp, ManualClock(NOW)).send(letter())


def test_a_transient_answer_means_later(smtp: SmtpServer, sink: Sink) -> None:
    sink.recipient_answer = "450 greylisted"

    with pytest.raises(MailUnavailable) as unavailable:
        SmtpMailer(smtp, ManualClock(NOW)).send(letter())
    assert unavailable.value.code == "SMTP_450"


def test_a_wrong_password_is_ours_to_mend_so_letters_wait(smtp: SmtpServer, sink: Sink) -> None:
    server = SmtpServer(
        host=smtp.host,
        port=smtp.port,
        sender=smtp.sender,
        encryption=Encryption.NONE,
        username="habeas",
        password=Secret("wrong"),
    )

    with pytest.raises(MailUnavailable):
        SmtpMailer(server, ManualClock(NOW)).send(letter())
    assert sink.accepted == []


def test_a_server_without_encryption_gets_no_letter_that_wants_it(
    smtp: SmtpServer, sink: Sink
) -> None:
    server = SmtpServer(host=smtp.host, port=smtp.port, sender=smtp.sender)

    with pytest.raises((MailUnavailable, MailRefused)):
        SmtpMailer(server, ManualClock(NOW)).send(letter())
    assert sink.accepted == []


def test_nobody_there_means_later() -> None:
    server = SmtpServer(
        host="127.0.0.1", port=9, sender="privacy@example.org", encryption=Encryption.NONE
    )

    with pytest.raises(MailUnavailable):
        SmtpMailer(server, ManualClock(NOW)).send(letter())

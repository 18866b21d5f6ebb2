"""From the order to the mailer: once per order under one id, for as long as it is pending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logbook.desk import Desk
from logbook.orderbook import OrderBook
from plumbing import failpoints
from plumbing.directory import Person
from plumbing.failpoints import FailpointError
from plumbing.kafka import BrokerError, Outgoing
from plumbing.mail import Letter, MailRefused, MailUnavailable, MemoryMailer
from plumbing.vault import VaultUnavailable
from rights.orders import SendNotice
from rights.reports import ReportNoticeFailed, ReportNoticeSent
from schemas.codec import decode, decode_as
from schemas.topics import ORDERS_NOTIFY, reports
from schemas.wire import CommandMessage
from services.notifier.notifying import FIRST_PAUSE_S, Notifier
from tests.services.request_api.installation import FaultyProducer, Installation
from tests.services.request_api.workers import seal_export
from tests.support.waiting import until

PAGES = "https://privacy.example.org"


class Office:
    """An installation with a notifier, whose rounds a test takes one by one."""

    def __init__(self) -> None:
        self.installation = Installation()
        self.mailer = MemoryMailer()
        self.book = OrderBook(lambda order: isinstance(order, SendNotice))
        self.installation.listen(self.book.apply)
        self.at_s = 0.0
        self.fault: Callable[[Outgoing], None] = lambda _: None

    def hire(self) -> Notifier:
        """A notifier as after a start: what was not committed comes again."""
        running = self.installation
        producer = FaultyProducer(running.connection.producer())
        producer.fault = self.fault
        reporter = running.reporter("notifier")
        group = running.connection.group("notifier", "notifier-1")
        desk = Desk(group, producer, running.following, self.book, reporter)
        notifier = Notifier(
            desk=desk,
            producer=producer,
            reporter=reporter,
            vault=running.keyring.client("notifier"),
            mailer=self.mailer,
            pages_url=PAGES,
        )
        desk.open([ORDERS_NOTIFY])
        return notifier

    def ready_export(self) -> tuple[Person, str]:
        """Somebody's export is sealed, so a letter is owed; the person and the request."""
        person = self.installation.person()
        ref, request_id = self.installation.file_export(person)
        seal_export(self.installation, ref, request_id)
        until(lambda: self.owed(request_id))
        return person, request_id

    def owed(self, request_id: str) -> list[SendNotice]:
        return self.installation.owed(request_id, SendNotice)

    def turns(
        self, notifier: Notifier, until_holds: Callable[[], object], *, step_s: float = 100.0
    ) -> None:
        """Rounds until something holds; by default each wait of the notifier's is over at once."""

        def turn() -> object:
            self.at_s += step_s
            notifier.turn(0.02, at_s=self.at_s)
            return until_holds()

        until(turn)

    def reports(self) -> list[Any]:
        records = self.installation.records(reports("notifier"))
        return [decode(decode_as(CommandMessage, r.value or b"").body) for r in records]


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    with office.installation:
        office.installation.publish_policy()
        yield office
    failpoints.disarm()


def test_a_letter_is_sent_and_reported(office: Office) -> None:
    person, request_id = office.ready_export()
    notifier = office.hire()

    office.turns(notifier, lambda: not office.owed(request_id))

    (letter,) = office.mailer.letters
    assert letter.to == person.email
    assert person.name in letter.text
    assert "<p>" in letter.html
    assert [type(report) for report in office.reports()] == [ReportNoticeSent]
    assert "NoticeSent" in office.installation.events(request_id)


@pytest.mark.parametrize("place", ["notifier.order_read", "notifier.sent", "notifier.reported"])
def test_after_a_crash_it_is_still_one_letter(office: Office, place: str) -> None:
    _, request_id = office.ready_export()
    notifier = office.hire()
    failpoints.arm(f"{place}:1:err")

    with pytest.raises(FailpointError):
        office.turns(notifier, lambda: False)
    notifier.desk.close()
    office.turns(office.hire(), lambda: not office.owed(request_id))

    assert len({letter.message_id for letter in office.mailer.letters}) == 1
    assert office.installation.events(request_id).count("NoticeSent") == 1


def test_a_mailer_that_is_down_is_tried_again_under_the_same_id(office: Office) -> None:
    _, request_id = office.ready_export()
    tried: list[str] = []

    def down_twice(letter: Letter) -> None:
        tried.append(letter.message_id)
        if len(tried) <= 2:
            raise MailUnavailable("SMTP_451")

    office.mailer.fault = down_twice
    office.turns(office.hire(), lambda: not office.owed(request_id))

    assert len(tried) == 3
    assert len(set(tried)) == 1
    assert len(office.mailer.letters) == 1
    assert [type(report) for report in office.reports()] == [ReportNoticeSent]


def test_waiting_gets_longer_and_is_not_shortened_by_the_order_coming_again(
    office: Office,
) -> None:
    _, request_id = office.ready_export()
    tried: list[float] = []

    def down(_letter: Letter) -> None:
        tried.append(office.at_s)
        raise MailUnavailable("SMTP_421")

    office.mailer.fault = down
    notifier = office.hire()
    office.turns(notifier, lambda: tried, step_s=0.0)
    (order,) = office.owed(request_id)
    (sent,) = office.installation.records(ORDERS_NOTIFY)
    for tenth in range(40):
        office.at_s = tenth / 10
        again = Outgoing(topic=ORDERS_NOTIFY, key=sent.key, value=sent.value or b"")
        office.installation.producer.send_and_wait([again], 5)
        notifier.turn(0.05, at_s=office.at_s)

    assert tried == [0.0, FIRST_PAUSE_S, 3 * FIRST_PAUSE_S, 7 * FIRST_PAUSE_S]
    assert office.owed(request_id) == [order]


def test_a_refused_letter_is_reported_as_failed_and_never_sent_again(office: Office) -> None:
    _, request_id = office.ready_export()

    def refuse(_letter: Letter) -> None:
        raise MailRefused("SMTP_550")

    office.mailer.fault = refuse
    office.turns(office.hire(), lambda: not office.owed(request_id))

    (report,) = office.reports()
    assert isinstance(report, ReportNoticeFailed)
    assert report.code == "SMTP_550"
    assert office.mailer.letters == []


def test_a_keyring_that_is_down_is_waited_for_and_nothing_is_sent(office: Office) -> None:
    _, request_id = office.ready_export()
    asked: list[bool] = []

    def down_once() -> None:
        asked.append(True)
        if len(asked) == 1:
            raise VaultUnavailable("UNREACHABLE")

    office.installation.keyring.fault = down_once
    notifier = office.hire()
    office.turns(notifier, lambda: asked, step_s=0.0)
    before = list(office.mailer.letters)
    office.turns(notifier, lambda: not office.owed(request_id))

    assert before == []
    assert len(office.mailer.letters) == 1


def test_a_report_that_does_not_get_through_is_said_again(office: Office) -> None:
    _, request_id = office.ready_export()
    tried: list[Outgoing] = []

    def fail_once(out: Outgoing) -> None:
        tried.append(out)
        if len(tried) == 1:
            raise BrokerError("_MSG_TIMED_OUT", is_retriable=True)

    office.fault = fail_once
    office.turns(office.hire(), lambda: not office.owed(request_id))

    assert len(office.reports()) == 1
    assert len(office.mailer.letters) == 1


def test_an_order_that_is_owed_no_more_is_dropped_while_it_waits(office: Office) -> None:
    _, request_id = office.ready_export()

    def down(_letter: Letter) -> None:
        raise MailUnavailable("SMTP_421")

    office.mailer.fault = down
    notifier = office.hire()
    office.turns(notifier, lambda: notifier._waiting, step_s=0.0)
    (order,) = office.owed(request_id)
    office.installation.report(
        "notifier",
        order,
        ReportNoticeFailed(request_id=request_id, order_id=order.order_id, code="GIVEN_UP"),
    )
    office.turns(notifier, lambda: not notifier._waiting)

    assert office.mailer.letters == []


def test_no_log_line_knows_whom_a_letter_was_for(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    person, request_id = office.ready_export()
    other, refused_id = office.ready_export()

    def refuse(letter: Letter) -> None:
        if letter.to == other.email:
            raise MailRefused("SMTP_550")

    office.mailer.fault = refuse
    office.turns(office.hire(), lambda: not (office.owed(request_id) or office.owed(refused_id)))

    logged = capsys.readouterr().err
    assert "letter_accepted" in logged
    assert "letter_refused" in logged
    for somebody in (person, other):
        for secret in (somebody.email, somebody.name, somebody.stable_id):
            assert secret not in logged

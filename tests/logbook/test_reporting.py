"""What workers say, and on which topic."""

import hashlib

import pytest

from plumbing.kafka import Record
from rights.policies import Role
from rights.reports import (
    Report,
    ReportBundleFailed,
    ReportCollectionStarted,
    ReportExtentsGone,
    ReportSectionsProbed,
)
from schemas.codec import decode, decode_as
from schemas.topics import PROGRESS, dead_letters, reports
from schemas.wire import CommandMessage, DeadLetter, ProgressMessage
from tests.logbook.stage import ADA, Stage
from tests.support.log_writer import START

OF = {"request_id": "r", "order_id": "o"}
STARTED = ReportCollectionStarted(**OF, source="journal", run_id="r1")


@pytest.mark.parametrize(
    ("worker", "report", "topic"),
    [
        ("collectors", STARTED, reports("journal")),
        ("eraser", ReportSectionsProbed(**OF, source="billing", watermark="", results=()),
         reports("billing")),
        ("bundler", ReportBundleFailed(**OF, code="EXPORT_TOO_LARGE"), reports("bundler")),
        # About a source, but not by it: nobody may speak for a source but its own workers.
        ("bundler", ReportExtentsGone(**OF, source="journal"), reports("bundler")),
    ],
)  # fmt: skip
def test_a_report_goes_to_the_topic_it_is_believed_on(
    stage: Stage, worker: str, report: Report, topic: str
) -> None:
    out = stage.reporter(worker).outgoing(stage.pending(), report)

    assert out.topic == topic
    assert out.key == ADA.encode()


def test_a_report_says_who_speaks_about_whom_and_when(stage: Stage) -> None:
    order = stage.pending()

    message = stage.reporter().message(order, STARTED)

    assert decode(message.body) == STARTED
    assert message.hash == hashlib.sha256(message.body).digest()
    assert (message.issuer, message.actor.role) == ("collectors", Role.WORKER)
    assert (message.subject_ref, message.tenant_ref) == (order.subject_ref, order.tenant_ref)
    assert (message.issued_at, message.valid_until) == (START, None)


def test_no_two_reports_have_the_same_id(stage: Stage) -> None:
    reporter, order = stage.reporter(), stage.pending()

    assert reporter.message(order, STARTED).id != reporter.message(order, STARTED).id


def test_a_report_that_was_sent_is_on_the_broker(stage: Stage) -> None:
    order, topic = stage.pending(), reports("journal")
    stage.reporter().send(stage.producer, order, STARTED)

    reader = stage.kafka.reader()
    reader.assign({(topic, p): 0 for p in range(3)})
    (record,) = reader.poll(10, 0)

    assert decode(decode_as(CommandMessage, record.value or b"").body) == STARTED


def test_a_sign_of_life_names_the_order_and_nobody(stage: Stage) -> None:
    order = stage.pending()

    out = stage.reporter().progress(order, "journal", 40)

    assert out.topic == PROGRESS
    assert decode(out.value) == ProgressMessage(
        order_id=order.order_id,
        request_id=order.request_id,
        worker="collectors",
        source="journal",
        percent=40,
        at=START,
    )


@pytest.mark.parametrize("value", [b"ines.almeida@example.org", None])
def test_a_dead_letter_says_where_and_never_what(stage: Stage, value: bytes | None) -> None:
    record = Record("some.topic", 2, 41, None, value, START, ())

    out = stage.reporter().dead_letter(record, "MALFORMED")

    assert out.topic == dead_letters("collectors")
    assert b"ines" not in out.value
    assert decode(out.value) == DeadLetter(
        topic="some.topic",
        partition=2,
        offset=41,
        sha256=hashlib.sha256(value or b"").digest(),
        code="MALFORMED",
        at=START,
    )

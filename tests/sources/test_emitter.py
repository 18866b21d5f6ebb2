"""A product service files through our emitter: sealed, once, and telling nobody on the way."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pyrage
import pytest

from plumbing.clock import ManualClock
from plumbing.kafka import BrokerError, Connection, Record, TopicSpec
from plumbing.kafka.memory import MemoryBroker
from schemas.codec import decode_as
from schemas.topics import intake
from schemas.wire import IntakeRequest
from sources.emitter import Emitter

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
TOPIC = intake("journal-app")
TELLING = {"tenant": "acme-wellbeing", "stable_id": "person-canary-17", "reason": "moving canary"}


@pytest.fixture
def connection() -> Connection:
    connection = MemoryBroker().connection("journal-app")
    connection.admin().ensure_topics([TopicSpec(name=TOPIC, partitions=3)])
    return connection


def emitter(connection: Connection, service: str = "journal-app") -> Emitter:
    return Emitter(service, recipient=RECIPIENT, connection=connection, clock=ManualClock(NOW))


def records(connection: Connection) -> list[Record]:
    reader = connection.reader()
    reader.assign({(TOPIC, partition): 0 for partition in range(3)})
    return reader.poll(100, 0.1)


def test_a_message_says_what_is_asked_and_seals_whom_it_is_about(connection: Connection) -> None:
    with emitter(connection) as filing:
        filing.file_erasure(**TELLING, message_id="close-1")

    (record,) = records(connection)
    request = decode_as(IntakeRequest, record.value or b"")
    assert (request.message_id, request.right, request.tenant, request.issued_at) == (
        "close-1",
        "erasure",
        "acme-wellbeing",
        NOW,
    )
    assert orjson.loads(pyrage.decrypt(request.sealed, [IDENTITY])) == {
        "stable_id": "person-canary-17",
        "reason": "moving canary",
    }


def test_no_byte_of_what_is_sealed_lies_on_the_topic(connection: Connection) -> None:
    with emitter(connection) as filing:
        filing.file_export(**TELLING, message_id="export-1")
        filing.file_erasure(**TELLING, message_id="close-1")

    found = records(connection)
    assert len(found) == 2
    for record in found:
        bytes_ = (record.value or b"") + (record.key or b"") + repr(record.headers).encode()
        for secret in (b"canary", b"person-", b"moving"):
            assert secret not in bytes_


def test_only_the_keyring_can_open_it(connection: Connection) -> None:
    with emitter(connection) as filing:
        filing.file_export(**TELLING, message_id="export-1")

    request = decode_as(IntakeRequest, records(connection)[0].value or b"")
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(request.sealed, [pyrage.x25519.Identity.generate()])


def test_two_messages_about_one_person_cannot_be_told_to_be_so(connection: Connection) -> None:
    with emitter(connection) as filing:
        for number in range(2):
            filing.file_export(**TELLING, message_id=f"export-{number}")

    sealed = [decode_as(IntakeRequest, r.value or b"").sealed for r in records(connection)]
    assert sealed[0] != sealed[1]


@pytest.mark.parametrize(
    "message_id", ["", "person-canary-17", "close/person-canary-17/2026", "person-canary-17\n"]
)
def test_a_message_id_that_tells_who_it_is_about_is_refused(
    connection: Connection, message_id: str
) -> None:
    with emitter(connection) as filing, pytest.raises(ValueError, match="message_id") as refused:
        filing.file_erasure(**TELLING, message_id=message_id)

    assert "canary" not in str(refused.value)
    assert records(connection) == []


def test_a_short_account_number_may_stand_in_a_message_id_by_chance(
    connection: Connection,
) -> None:
    with emitter(connection) as filing:
        filing.file_erasure(**{**TELLING, "stable_id": "17"}, message_id="2f17c6")
        with pytest.raises(ValueError, match="message_id"):
            filing.file_erasure(**{**TELLING, "stable_id": "17"}, message_id="17")

    assert len(records(connection)) == 1


def test_what_cannot_be_sent_is_not_said_to_have_been(connection: Connection) -> None:
    with emitter(connection, "unknown-app") as filing, pytest.raises(BrokerError) as failed:
        filing.file_erasure(**TELLING, message_id="close-1")

    assert "canary" not in str(failed.value)


def test_a_key_that_is_none_is_noticed_at_once(connection: Connection) -> None:
    with pytest.raises(pyrage.RecipientError):
        Emitter("journal-app", recipient="age1nonsense", connection=connection)


def test_real_time_is_told_where_no_clock_is_given(connection: Connection) -> None:
    with Emitter("journal-app", recipient=RECIPIENT, connection=connection) as filing:
        filing.file_export(**TELLING, message_id="export-1")

    assert decode_as(IntakeRequest, records(connection)[0].value or b"").issued_at > NOW.replace(
        year=2020
    )

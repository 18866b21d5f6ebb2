"""Producer: acknowledged, in order, and every failure reaches somebody."""

import threading

import pytest

from plumbing.kafka import BrokerError, Delivery, KafkaConnection, Outgoing
from tests.contracts.kafka.stage import Stage

# Port 1 is nobody's.
_NOWHERE = KafkaConnection(bootstrap="127.0.0.1:1", client_id="contract")


def test_every_record_is_answered_with_its_place_in_the_order_of_sending(stage: Stage) -> None:
    topic = stage.topic(partitions=2)

    deliveries = stage.producer().send_and_wait(
        [Outgoing(topic=topic, partition=number % 2, value=b"%d" % number) for number in range(6)],
        10,
    )

    assert deliveries == [Delivery(topic, number % 2, number // 2) for number in range(6)]


def test_nothing_to_send_is_answered_at_once(stage: Stage) -> None:
    assert stage.producer().send_and_wait([], 10) == []


def test_sending_answers_through_the_callback(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer()
    answers: list[Delivery | BrokerError] = []

    for number in range(3):
        producer.send(Outgoing(topic=topic, value=b"%d" % number), answers.append)

    assert producer.flush(10) == 0
    assert answers == [Delivery(topic, 0, number) for number in range(3)]


def test_sending_without_a_callback_arrives_as_well(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer()

    producer.send(Outgoing(topic=topic, value=b"a"))

    assert producer.flush(10) == 0
    assert stage.values(topic) == [b"a"]


def test_closing_delivers_what_was_sent(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer()
    for number in range(100):
        producer.send(Outgoing(topic=topic, value=b"%d" % number))

    producer.close()

    assert len(stage.values(topic)) == 100


def test_closing_twice_is_harmless_and_sending_afterwards_is_a_mistake(stage: Stage) -> None:
    producer = stage.producer()
    producer.close()
    producer.close()

    with pytest.raises(RuntimeError, match="closed"):
        producer.send(Outgoing(topic="any", value=b""))


def test_a_record_that_the_broker_refuses_is_an_error_to_who_waits(stage: Stage) -> None:
    topic = stage.topic(config={"max.message.bytes": "1000"})

    with pytest.raises(BrokerError, match="MSG_SIZE_TOO_LARGE"):
        stage.producer().send_and_wait([Outgoing(topic=topic, value=b"x" * 2_000)], 10)


def test_a_refusal_reaches_the_callback_and_hurts_nobody_else(stage: Stage) -> None:
    topic = stage.topic(config={"max.message.bytes": "1000"})
    producer = stage.producer()
    answers: list[Delivery | BrokerError] = []
    producer.send(Outgoing(topic=topic, value=b"x" * 2_000), answers.append)
    assert producer.flush(10) == 0

    producer.send(Outgoing(topic=topic, value=b"small"), answers.append)

    assert producer.flush(10) == 0
    [refused, delivered] = answers
    assert isinstance(refused, BrokerError)
    assert refused.code == "MSG_SIZE_TOO_LARGE"
    assert delivered == Delivery(topic, 0, 0)


def test_an_unknown_partition_is_an_error(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    producer = stage.producer()
    producer.send_and_wait([Outgoing(topic=topic, partition=1, value=b"")], 10)

    with pytest.raises(BrokerError, match="_UNKNOWN_PARTITION"):
        producer.send_and_wait([Outgoing(topic=topic, partition=2, value=b"")], 10)


def test_many_threads_share_a_producer(stage: Stage) -> None:
    topic = stage.topic()
    producer = stage.producer()
    delivered: list[Delivery] = []

    def work(name: int) -> None:
        for number in range(20):
            out = Outgoing(topic=topic, value=b"%d %d" % (name, number))
            delivered.extend(producer.send_and_wait([out], 10))

    threads = [threading.Thread(target=work, args=[name]) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(delivery.offset for delivery in delivered) == list(range(160))


def test_an_answer_that_does_not_come_is_an_error_when_the_patience_ends(
    capfd: pytest.CaptureFixture[str],
) -> None:
    producer = _NOWHERE.producer()
    answers: list[Delivery | BrokerError] = []
    producer.send(Outgoing(topic="any", value=b"a secret"), answers.append)

    with pytest.raises(BrokerError, match="_TIMED_OUT") as failure:
        producer.send_and_wait([Outgoing(topic="any", value=b"")], 0.1)

    assert failure.value.is_retriable
    assert producer.flush(0.1) == 2
    # Closing gives up on them, and says so.
    producer.close()
    assert [type(answer) for answer in answers] == [BrokerError]
    # librdkafka's own log stays out of ours, and what is said is said once, not at every try.
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert "_ALL_BROKERS_DOWN" in said[0]

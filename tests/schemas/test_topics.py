"""The topic catalogue: what an installation's topics are, and how long each is kept."""

from datetime import timedelta

import pytest

from rights.incoming import CLOCK, FAMILY, INTAKE, REPORTS_OF
from schemas import topics
from schemas.topics import Topic, catalogue, input_topics

TOPICS = {t.name: t for t in catalogue(["journal", "billing"], ["journal-app"])}
DAY = timedelta(days=1)


def test_every_source_has_its_orders_its_reports_and_its_fragments() -> None:
    for source in ("billing", "journal"):
        assert {
            topics.collect_orders(source),
            topics.erase_orders(source),
            topics.reports(source),
            topics.fragments(source),
        } <= set(TOPICS)


def test_every_product_service_has_a_way_in_and_a_way_out() -> None:
    assert TOPICS["rights.intake.journal-app.v1"].writers == ("journal-app",)
    assert TOPICS["rights.outcomes.journal-app.v1"].readers == ("journal-app",)


def test_no_topic_is_named_twice() -> None:
    assert len(TOPICS) == len(catalogue(["journal", "billing"], ["journal-app"]))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (topics.DECISIONS, None),
        (topics.CHECKPOINTS, None),
        (topics.COMMANDS_INTAKE, 30 * DAY),
        (topics.reports("bundler"), 30 * DAY),
        (topics.reports("journal"), 30 * DAY),
        (topics.ORDERS_SEAL, 7 * DAY),
        (topics.intake("journal-app"), 7 * DAY),
        (topics.fragments("journal"), 2 * DAY),
        (topics.PROGRESS, DAY),
        (topics.dead_letters("bundler"), 30 * DAY),
    ],
)
def test_a_topic_is_kept_as_long_as_it_is_needed(name: str, kept: timedelta | None) -> None:
    assert TOPICS[name].kept == kept


def test_the_log_is_kept_for_ever_and_written_to_disk_record_by_record() -> None:
    settings = TOPICS[topics.DECISIONS].settings()

    assert settings["retention.ms"] == "-1"
    assert settings["flush.messages"] == "1"


def test_the_broker_stamps_every_record_because_the_decider_believes_two_clocks() -> None:
    for topic in TOPICS.values():
        assert topic.settings()["message.timestamp.type"] == "LogAppendTime"
        assert topic.settings()["cleanup.policy"] == "delete"


def test_a_topics_own_words_win() -> None:
    topic = Topic(name="t", writers=(), readers=(), kept=DAY, config={"cleanup.policy": "compact"})

    assert topic.settings()["cleanup.policy"] == "compact"
    assert topic.settings()["retention.ms"] == "86400000"


def test_the_decider_believes_each_input_as_the_channel_that_it_is() -> None:
    channels = input_topics(["journal", "billing"])

    assert channels[topics.COMMANDS_INTAKE] == INTAKE
    assert channels[topics.COMMANDS_CLOCK] == CLOCK
    assert channels[topics.COMMANDS_FAMILY] == FAMILY
    assert channels[topics.reports("journal")] == REPORTS_OF + "journal"
    assert {t.name for t in TOPICS.values() if t.readers == ("decider",)} == set(channels)

"""Admin: topics come into being once, and a wrong one is noticed."""

import pytest

from plumbing.kafka import Outgoing, TopicMismatch, TopicSpec
from tests.contracts.kafka.stage import Stage
from tests.support.waiting import until


def test_a_topic_can_be_used_as_soon_as_it_is_ensured(stage: Stage) -> None:
    name = stage.fresh("topic")

    stage.admin.ensure_topics([TopicSpec(name=name, partitions=3)])

    assert stage.admin.describe(name) == 3
    assert name in stage.admin.topics()
    stage.send(name, b"a")
    assert stage.values(name) == [b"a"]


def test_ensuring_topics_again_changes_nothing(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    stage.send(topic, b"a")

    stage.admin.ensure_topics(
        [TopicSpec(name=topic, partitions=2, config={"retention.ms": "1000"})]
    )

    assert stage.values(topic) == [b"a"]


def test_another_partition_count_is_an_error_and_nothing_is_created(stage: Stage) -> None:
    topic, missing = stage.topic(partitions=2), stage.fresh("missing")

    with pytest.raises(TopicMismatch, match=r"2 partitions, not 3") as mismatch:
        stage.admin.ensure_topics(
            [TopicSpec(name=missing, partitions=1), TopicSpec(name=topic, partitions=3)]
        )

    assert (mismatch.value.topic, mismatch.value.wanted, mismatch.value.found) == (topic, 3, 2)
    assert stage.admin.describe(missing) is None


def test_a_topic_that_does_not_exist_has_no_partitions(stage: Stage) -> None:
    assert stage.admin.describe(stage.fresh("missing")) is None


def test_a_deleted_topic_is_gone_and_may_be_deleted_again(stage: Stage) -> None:
    topic = stage.topic()

    stage.admin.delete_topics([topic])

    until(lambda: stage.admin.describe(topic) is None)
    stage.admin.delete_topics([topic, stage.fresh("never was")])


def test_trimming_forgets_what_lies_below(stage: Stage) -> None:
    topic = stage.topic()
    stage.send(topic, b"0", b"1", b"2")

    stage.admin.trim({(topic, 0): 2})

    assert stage.values(topic) == [b"2"]


def test_the_high_watermark_counts_everything(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    stage.producer().send_and_wait(
        [Outgoing(topic=topic, partition=1, value=b"%d" % number) for number in range(3)], 10
    )

    assert stage.admin.high_watermarks([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 3}


def test_a_group_that_never_was_has_committed_nothing(stage: Stage) -> None:
    assert stage.admin.committed(stage.fresh("group")) == {}

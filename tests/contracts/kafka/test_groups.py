"""Group: who owns what, what they were told, and where reading goes on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from plumbing.clock import ManualClock
from plumbing.kafka import BrokerError, Fenced, Group, PositionLost, Record, TopicPartition
from plumbing.kafka.memory import MemoryBroker
from tests.contracts.kafka.stage import Stage, receive
from tests.support.waiting import until


class Owner:
    """A member and everything that it was told, in order."""

    def __init__(
        self,
        stage: Stage,
        group_id: str,
        topics: Sequence[str],
        instance_id: str | None = None,
        *,
        ownership_only: bool = False,
    ) -> None:
        self.member: Group = stage.member(group_id, instance_id)
        self.told: list[tuple[str, int]] = []
        self.received: list[Record] = []
        self.member.subscribe(
            topics,
            lambda given: self.told.append(("given", len(given))),
            lambda taken: self.told.append(("taken", len(taken))),
            ownership_only=ownership_only,
        )

    @property
    def owned(self) -> frozenset[TopicPartition]:
        return self.member.assignment()

    def poll(self) -> None:
        self.received += self.member.poll(100, 0.1)


def settle(*owners: Owner, shares: Sequence[int]) -> None:
    """Poll all until they own so many partitions each."""

    def is_settled() -> bool:
        for owner in owners:
            owner.poll()
        return [len(owner.owned) for owner in owners] == list(shares)

    until(is_settled, 30)


def test_the_only_member_owns_everything_and_reads_from_the_start(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    stage.send(topic, b"a", key=b"1")
    owner = Owner(stage, stage.fresh("group"), [topic])

    settle(owner, shares=[2])

    assert owner.owned == {(topic, 0), (topic, 1)}
    assert owner.told == [("given", 2)]
    records = owner.received or receive(owner.member, 1)
    assert [record.value for record in records] == [b"a"]


def test_two_members_share_so_that_equal_partitions_land_together(stage: Stage) -> None:
    one_topic, other_topic = stage.topic(partitions=3), stage.topic(partitions=3)
    group = stage.fresh("group")
    first = Owner(stage, group, [one_topic, other_topic], "a")
    second = Owner(stage, group, [one_topic, other_topic], "b")

    settle(first, second, shares=[4, 2])

    for owner in (first, second):
        of_one = {number for topic, number in owner.owned if topic == one_topic}
        of_other = {number for topic, number in owner.owned if topic == other_topic}
        assert of_one == of_other
    assert {number for _, number in first.owned} == {0, 1}


def test_a_newcomer_makes_the_owner_give_back_before_it_is_given_its_share(stage: Stage) -> None:
    topic = stage.topic(partitions=4)
    group = stage.fresh("group")
    first = Owner(stage, group, [topic])
    settle(first, shares=[4])

    second = Owner(stage, group, [topic])
    settle(first, second, shares=[2, 2])

    assert first.told == [("given", 4), ("taken", 4), ("given", 2)]
    assert second.told == [("given", 2)]
    assert not first.owned & second.owned


def test_who_leaves_hands_over(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    group = stage.fresh("group")
    first, second = Owner(stage, group, [topic]), Owner(stage, group, [topic])
    settle(first, second, shares=[1, 1])

    second.member.close()

    assert second.told[-1] == ("taken", 1)
    settle(first, shares=[2])


def test_reading_goes_on_at_the_committed_position(stage: Stage) -> None:
    topic = stage.topic()
    group = stage.fresh("group")
    stage.send(topic, b"0", b"1", b"2")
    first = Owner(stage, group, [topic])
    settle(first, shares=[1])
    first.member.commit({(topic, 0): 2})
    first.member.close()

    second = stage.member(group)
    second.subscribe([topic])

    assert [record.value for record in receive(second, 1)] == [b"2"]
    assert stage.admin.committed(group) == {(topic, 0): 2}


def test_an_owner_may_commit_while_it_gives_back(stage: Stage) -> None:
    topic = stage.topic()
    group = stage.fresh("group")
    member = stage.member(group)
    member.subscribe([topic], on_revoke=lambda taken: member.commit(dict.fromkeys(taken, 7)))
    until(lambda: member.poll(1, 0.1) or member.assignment())

    member.close()

    assert stage.admin.committed(group) == {(topic, 0): 7}


def test_a_committed_position_that_was_trimmed_away_is_lost(stage: Stage) -> None:
    topic = stage.topic()
    group = stage.fresh("group")
    stage.send(topic, b"0", b"1", b"2")
    first = Owner(stage, group, [topic])
    settle(first, shares=[1])
    first.member.commit({(topic, 0): 1})
    first.member.close()
    stage.admin.trim({(topic, 0): 2})

    second = stage.member(group)
    second.subscribe([topic])

    with pytest.raises(PositionLost):
        receive(second, 1)


def test_without_a_committed_position_reading_begins_where_the_topic_does(stage: Stage) -> None:
    topic = stage.topic()
    stage.send(topic, b"0", b"1")
    stage.admin.trim({(topic, 0): 1})

    member = stage.member(stage.fresh("group"))
    member.subscribe([topic])

    assert [record.value for record in receive(member, 1)] == [b"1"]


def test_one_who_only_owns_reads_nothing_and_may_commit(stage: Stage) -> None:
    topic = stage.topic()
    group = stage.fresh("group")
    stage.send(topic, b"0")
    owner = Owner(stage, group, [topic], ownership_only=True)
    settle(owner, shares=[1])

    for _ in range(5):
        owner.poll()
    owner.member.commit({(topic, 0): 1})

    assert owner.received == []
    assert stage.admin.committed(group) == {(topic, 0): 1}


def test_a_static_member_comes_back_without_anybody_noticing(stage: Stage) -> None:
    topic = stage.topic(partitions=2)
    group = stage.fresh("group")
    leaving, staying = Owner(stage, group, [topic], "a"), Owner(stage, group, [topic], "b")
    settle(leaving, staying, shares=[1, 1])
    owned, told = leaving.owned, list(staying.told)

    leaving.member.close()
    returned = Owner(stage, group, [topic], "a")
    settle(returned, staying, shares=[1, 1])

    assert returned.owned == owned
    assert staying.told == told


def test_two_processes_cannot_be_the_same_static_member(stage: Stage) -> None:
    topic = stage.topic()
    group = stage.fresh("group")
    old = Owner(stage, group, [topic], "a")
    settle(old, shares=[1])

    new = Owner(stage, group, [topic], "a")
    settle(new, shares=[1])

    def is_fenced() -> bool:
        try:
            old.poll()
        except Fenced:
            return True
        return False

    until(is_fenced)


def test_before_joining_there_is_nothing_to_commit_for(stage: Stage) -> None:
    topic = stage.topic()
    group = stage.fresh("group")
    member = stage.member(group)
    settle(Owner(stage, group, [topic]), shares=[1])

    with pytest.raises(BrokerError):
        member.commit({(topic, 0): 1})


def test_in_memory_a_silent_member_is_out_after_the_session_and_told_when_it_wakes() -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    broker = MemoryBroker(clock)
    stage = Stage(broker.connection("contract"), lambda what: what)
    topic = stage.topic(partitions=2)
    silent, staying = Owner(stage, "group", [topic], "a"), Owner(stage, "group", [topic], "b")
    settle(silent, staying, shares=[1, 1])

    broker.fall_silent("group", "a")
    clock.advance(timedelta(seconds=9))
    staying.poll()
    assert len(staying.owned) == 1
    clock.advance(timedelta(seconds=2))
    settle(staying, shares=[2])

    settle(silent, staying, shares=[1, 1])
    assert silent.told == [("given", 1), ("taken", 1), ("given", 1)]

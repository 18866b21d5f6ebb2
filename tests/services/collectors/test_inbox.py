"""Which records may be acknowledged, and in which order."""

from services.collectors.inbox import Inbox, Place

TOPIC = "rights.orders.collect.journal.v1"


def at(offset: int, partition: int = 0) -> Place:
    return (TOPIC, partition, offset)


class Broker:
    """Notes what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[Place] = []
        self.inbox = Inbox()

    def brings(self, place: Place) -> bool:
        return self.inbox.arrived(place, lambda: self.acknowledged.append(place))


def test_a_record_is_acknowledged_only_after_every_earlier_one() -> None:
    broker = Broker()
    for offset in (1, 2, 3):
        assert broker.brings(at(offset))

    broker.inbox.settled(at(3))
    broker.inbox.settled(at(2))
    assert broker.acknowledged == []

    broker.inbox.settled(at(1))
    assert broker.acknowledged == [at(1), at(2), at(3)]


def test_partitions_do_not_wait_for_each_other() -> None:
    broker = Broker()
    broker.brings(at(1, partition=0))
    broker.brings(at(1, partition=1))

    broker.inbox.settled(at(1, partition=1))

    assert broker.acknowledged == [at(1, partition=1)]


def test_a_repeat_of_a_running_order_is_not_run_and_ends_with_it() -> None:
    broker = Broker()
    broker.brings(at(1))
    broker.brings(at(2))

    assert broker.inbox.begins("order", at(1))
    assert not broker.inbox.begins("order", at(2))
    assert broker.acknowledged == []

    broker.inbox.ended("order")
    assert broker.acknowledged == [at(1), at(2)]
    broker.brings(at(3))
    assert broker.inbox.begins("order", at(3))


def test_a_record_that_comes_again_after_a_rebalance_is_known() -> None:
    broker = Broker()
    broker.brings(at(1))
    broker.inbox.begins("order", at(1))
    again: list[str] = []

    assert not broker.inbox.arrived(at(1), lambda: again.append("again"))

    broker.inbox.ended("order")
    assert (broker.acknowledged, again) == ([], ["again"])


def test_a_record_below_those_that_wait_goes_first() -> None:
    broker = Broker()
    broker.brings(at(5))
    broker.brings(at(4))

    broker.inbox.settled(at(5))
    assert broker.acknowledged == []

    broker.inbox.settled(at(4))
    assert broker.acknowledged == [at(4), at(5)]

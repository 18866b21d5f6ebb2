"""The group coordinator inside the process: who owns which partitions.

It follows the classic protocol with eager range assignment: when the members change, everybody
gives back everything, and when all have, everybody gets a new share. It does not lock and it calls
nobody back: a member asks for its `next_step`.

Rule 1: a static member that comes back within the session time-out takes up its old share and
nobody else notices; if its predecessor still lives, that one is fenced.
Rule 2: a member that is away for longer than the session time-out is out.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from plumbing.kafka.errors import BrokerError, Fenced
from plumbing.kafka.records import TopicPartition

SESSION_TIMEOUT: Final = timedelta(seconds=10)

Share = tuple[TopicPartition, ...]


@dataclass(eq=False, slots=True, kw_only=True)
class Member:
    member_id: str
    instance_id: str | None
    topics: frozenset[str]
    # What it works on, as far as it knows.
    held: Share = ()
    # What it is to work on from its next poll on.
    offered: Share | None = None
    has_joined: bool = False
    is_fenced: bool = False
    # Since when nothing was heard of it; None: it lives.
    away_since: timedelta | None = None

    @property
    def sort_key(self) -> str:
        return self.instance_id or self.member_id


@dataclass(frozen=True, slots=True)
class Revoke:
    share: Share


@dataclass(frozen=True, slots=True)
class Assign:
    share: Share


@dataclass(eq=False, slots=True)
class ConsumerGroup:
    # How many partitions each topic has at this moment.
    partition_count: Callable[[str], int]
    members: list[Member] = field(default_factory=list)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    is_rebalancing: bool = False
    _shares: dict[str, Share] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def join(self, client_id: str, instance_id: str | None, topics: frozenset[str]) -> Member:
        member = Member(
            member_id=f"{client_id}-{next(self._numbers):06d}",
            instance_id=instance_id,
            topics=topics,
        )
        predecessor = None if instance_id is None else self.static_member(instance_id)
        if predecessor is not None:
            predecessor.is_fenced = True
            self.members.remove(predecessor)
        self.members.append(member)
        share = self._shares.get(member.sort_key)
        if predecessor is None or predecessor.topics != topics or share is None:
            self._rebalance()
        elif self.is_rebalancing:
            member.has_joined = True
        else:
            member.offered = share
        self._complete()
        return member

    def static_member(self, instance_id: str) -> Member | None:
        return next((one for one in self.members if one.instance_id == instance_id), None)

    def next_step(self, member: Member) -> Revoke | Assign | None:
        """What its owner has to be told now."""
        if member.is_fenced:
            raise Fenced("FENCED_INSTANCE_ID")
        member.away_since = None
        is_out = member not in self.members
        if member.held and (self.is_rebalancing or is_out):
            return Revoke(member.held)
        if is_out:
            self.members.append(member)
            self._rebalance()
        if self.is_rebalancing:
            member.has_joined = True
            self._complete()
        return Assign(member.offered) if member.offered is not None else None

    def revoked(self, member: Member) -> None:
        """Its owner was told; `next_step` says what comes then."""
        member.held = ()

    def assigned(self, member: Member, share: Share) -> None:
        if member.offered is share:
            member.held, member.offered = share, None

    def leave(self, member: Member, now: timedelta) -> None:
        """Its owner closed it. A static member is only away."""
        member.held = ()
        if member.instance_id is not None:
            self.fall_silent(member, now)
        elif member in self.members:
            self._remove(member)

    def fall_silent(self, member: Member, now: timedelta) -> None:
        """Nothing is heard of it any more: closed, stopped or killed."""
        if member.away_since is None:
            member.away_since = now

    def expire(self, now: timedelta) -> None:
        for member in list(self.members):
            if member.away_since is not None and now - member.away_since > SESSION_TIMEOUT:
                self._remove(member)

    def commit(self, member: Member, positions: Mapping[TopicPartition, int]) -> None:
        if member.is_fenced:
            raise Fenced("FENCED_INSTANCE_ID")
        if member not in self.members:
            raise BrokerError("UNKNOWN_MEMBER_ID")
        self.positions.update(positions)

    def _remove(self, member: Member) -> None:
        self.members.remove(member)
        self._rebalance()
        self._complete()

    def _rebalance(self) -> None:
        self.is_rebalancing = True
        for member in self.members:
            member.offered = None
            # Whoever holds something has to give it back first, and for who is away all wait.
            member.has_joined = not member.held and member.away_since is None

    def _complete(self) -> None:
        if not self.is_rebalancing or not all(member.has_joined for member in self.members):
            return
        self.is_rebalancing = False
        self._shares = range_assignment(
            {member.sort_key: member.topics for member in self.members}, self.partition_count
        )
        for member in self.members:
            member.has_joined = False
            member.offered = self._shares[member.sort_key]


def range_assignment(
    members: Mapping[str, Iterable[str]], partition_count: Callable[[str], int]
) -> dict[str, Share]:
    """Each topic's partitions in one run per member, so that equal numbers land together."""
    shares: dict[str, list[TopicPartition]] = {member: [] for member in members}
    for topic in sorted({topic for topics in members.values() for topic in topics}):
        takers = sorted(member for member, topics in members.items() if topic in topics)
        each, left_over = divmod(partition_count(topic), len(takers))
        numbers = itertools.count()
        for rank, taker in enumerate(takers):
            size = each + (1 if rank < left_over else 0)
            shares[taker] += [(topic, number) for number in itertools.islice(numbers, size)]
    return {member: tuple(share) for member, share in shares.items()}

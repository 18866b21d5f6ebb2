"""Policies in force, folded from the whole log."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from logbook.policies import fold_policies
from rights.policies import PROFILES, PolicyBook
from tests.logbook.stage import Stage
from tests.support.log_writer import SOURCES, TENANT, person


def _book(stage: Stage) -> PolicyBook:
    book = PolicyBook()
    for entry in stage.log.entries:
        fold_policies(book, entry)
    return book


def test_a_published_policy_is_in_force_with_its_place_in_the_log(stage: Stage) -> None:
    in_force = _book(stage).in_force(TENANT, now=stage.log.now)

    entry = stage.log.entries[-1]
    assert in_force is not None
    assert in_force.policy.sources == SOURCES
    assert (in_force.reference.partition, in_force.reference.seq) == stage.place()
    assert in_force.reference.hash == hashlib.sha256(entry.decision.events[0].body).digest()


def test_a_later_policy_is_known_before_it_is_in_force(stage: Stage) -> None:
    weaker = replace(PROFILES["org-jobs"], sources=SOURCES)
    stage.log.publish_policy(weaker)
    book, now = _book(stage), stage.log.now

    today = book.in_force(TENANT, now=now)
    tomorrow = book.in_force(TENANT, now=now + timedelta(days=1))

    assert today is not None
    assert tomorrow is not None
    assert (today.policy.profile, today.policy.version) == ("workspace-admin", 1)
    assert (tomorrow.policy.profile, tomorrow.policy.version) == ("org-jobs", 2)


def test_policies_of_every_partition_are_folded(stage: Stage) -> None:
    tenants = [f"{number:032x}" for number in range(20)]
    for tenant in tenants:
        stage.log.publish_policy(tenant=tenant)
    book = _book(stage)

    found = [book.in_force(tenant, now=stage.log.now) for tenant in tenants]

    assert len({p.reference.partition for p in found if p}) == stage.log.partitions
    assert all(found)


def test_a_policy_is_found_among_other_events_of_its_decision(stage: Stage) -> None:
    # Nothing was heard for so long that the clock is suspect when the policy comes.
    stage.log.wait(timedelta(hours=27))
    stage.log.publish_policy()

    assert len(stage.log.entries[-1].events) > 1
    assert len(_book(stage).published[TENANT]) == 2


def test_other_decisions_publish_nothing(stage: Stage) -> None:
    before = _book(stage).published
    stage.log.file_export(person(1))
    stage.log.tick()

    assert _book(stage).published == before

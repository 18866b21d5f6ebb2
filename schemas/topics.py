"""The topic catalogue: the one list of topics, who writes and reads each, and what is kept.

`rights.reports.<name>.v1` and its like are made from the sources and product services in force.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from rights.incoming import CLOCK, FAMILY, INTAKE, REPORTS_OF

DECISIONS: Final = "rights.decisions.v1"
COMMANDS_INTAKE: Final = "rights.commands.intake.v1"
COMMANDS_CLOCK: Final = "rights.commands.clock.v1"
COMMANDS_FAMILY: Final = "rights.commands.family.v1"
ORDERS_SEAL: Final = "rights.orders.seal.v1"
ORDERS_NOTIFY: Final = "rights.orders.notify.v1"
ORDERS_KEYS: Final = "rights.orders.keys.v1"
PROGRESS: Final = "rights.progress.v1"
CHECKPOINTS: Final = "rights.checkpoints.v1"
WORKERS: Final = ("bundler", "notifier", "keyring")
SERVICES: Final = (
    "request_api",
    "decider",
    "collectors",
    "bundler",
    "eraser",
    "keyring",
    "scheduler",
    "notifier",
    "projections",
)
_DAY: Final = timedelta(days=1)


def reports(name: str) -> str:
    return f"rights.reports.{name}.v1"


def collect_orders(source: str) -> str:
    return f"rights.orders.collect.{source}.v1"


def erase_orders(source: str) -> str:
    return f"rights.orders.erase.{source}.v1"


def fragments(source: str) -> str:
    return f"rights.fragments.{source}.v1"


def intake(product_service: str) -> str:
    return f"rights.intake.{product_service}.v1"


def outcomes(product_service: str) -> str:
    return f"rights.outcomes.{product_service}.v1"


def dead_letters(service: str) -> str:
    return f"rights.deadletters.{service}.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: `kept` None means for ever; `config` holds Kafka's own words."""

    name: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    kept: timedelta | None
    config: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        kept_ms = -1 if self.kept is None else self.kept // timedelta(milliseconds=1)
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(kept_ms),
            # The decider's second clock is the broker's, so the broker must stamp every record.
            "message.timestamp.type": "LogAppendTime",
            **self.config,
        }


def catalogue(sources: Iterable[str], product_services: Iterable[str]) -> tuple[Topic, ...]:
    """Every topic of an installation with these sources and product services."""
    named = sorted(sources)
    return (*_fixed(), *_of_sources(named), *_of_products(product_services), *_dead_letters())


def _fixed() -> Iterator[Topic]:
    month, week = 30 * _DAY, 7 * _DAY
    yield Topic(name=COMMANDS_INTAKE, writers=("request_api",), readers=("decider",), kept=month)
    yield Topic(name=COMMANDS_CLOCK, writers=("scheduler",), readers=("decider",), kept=month)
    yield Topic(name=COMMANDS_FAMILY, writers=("decider",), readers=("decider",), kept=month)
    yield Topic(
        name=DECISIONS,
        writers=("decider",),
        readers=(*SERVICES, "auditor"),
        kept=None,
        config={"flush.messages": "1"},
    )
    yield Topic(name=ORDERS_SEAL, writers=("decider",), readers=("bundler",), kept=week)
    yield Topic(name=ORDERS_NOTIFY, writers=("decider",), readers=("notifier",), kept=week)
    yield Topic(name=ORDERS_KEYS, writers=("decider",), readers=("keyring",), kept=week)
    yield Topic(
        name=PROGRESS,
        writers=("collectors", "bundler", "eraser"),
        readers=("decider", "projections", "request_api"),
        kept=_DAY,
    )
    yield Topic(name=CHECKPOINTS, writers=("projections",), readers=("auditor",), kept=None)
    for worker in WORKERS:
        yield Topic(name=reports(worker), writers=(worker,), readers=("decider",), kept=month)


def _of_sources(sources: Iterable[str]) -> Iterator[Topic]:
    for source in sources:
        yield Topic(
            name=reports(source),
            writers=("collectors", "eraser"),
            readers=("decider",),
            kept=30 * _DAY,
        )
        yield Topic(
            name=collect_orders(source),
            writers=("decider",),
            readers=("collectors",),
            kept=7 * _DAY,
        )
        yield Topic(
            name=erase_orders(source), writers=("decider",), readers=("eraser",), kept=7 * _DAY
        )
        yield Topic(
            name=fragments(source),
            writers=("collectors",),
            readers=("bundler",),
            kept=2 * _DAY,
            config={"segment.ms": "3600000", "compression.type": "producer"},
        )


def _of_products(product_services: Iterable[str]) -> Iterator[Topic]:
    for service in sorted(product_services):
        yield Topic(
            name=intake(service), writers=(service,), readers=("request_api",), kept=7 * _DAY
        )
        yield Topic(
            name=outcomes(service), writers=("request_api",), readers=(service,), kept=7 * _DAY
        )


def _dead_letters() -> Iterator[Topic]:
    for service in SERVICES:
        yield Topic(
            name=dead_letters(service), writers=(service,), readers=("operator",), kept=30 * _DAY
        )


def input_topics(sources: Iterable[str]) -> dict[str, str]:
    """The decider's input topics, and the channel each one is."""
    channels = {COMMANDS_INTAKE: INTAKE, COMMANDS_CLOCK: CLOCK, COMMANDS_FAMILY: FAMILY}
    for name in (*WORKERS, *sorted(sources)):
        channels[reports(name)] = REPORTS_OF + name
    return channels

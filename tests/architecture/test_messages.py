"""Every message is a sentence that a lawyer can read, and every topic has its writers and readers."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from schemas import topics
from schemas.catalogue import COMMANDS, ENVELOPES, EVENTS, MESSAGES, ORDERS
from schemas.releasing import IN_FORCE, frozen_path
from schemas.topics import SERVICES, Topic, catalogue
from tests.architecture.tree import ROOT, Source, sources

SOURCE, PRODUCT = "journal", "journal-app"
TOPICS: Final = catalogue([SOURCE], [PRODUCT])
# Of which kind the writers of a topic are: never two kinds on one.
KINDS: Final = {
    "decider": "the decider",
    "request_api": "the way in",
    "scheduler": "the clock",
    "projections": "the views",
    PRODUCT: "a product service",
    **dict.fromkeys(("collectors", "bundler", "eraser", "keyring", "notifier"), "a worker"),
}
OUTSIDERS: Final = {"auditor", "operator", PRODUCT}
_WORDS_MIN: Final = 4


@pytest.mark.parametrize("cls", [*COMMANDS, *EVENTS, *ORDERS, *ENVELOPES], ids=lambda c: c.__name__)
def test_a_message_says_in_a_sentence_what_it_is(cls: type) -> None:
    said = (cls.__doc__ or "").strip()

    assert said, "a message without a docstring has none in docs/events.md"
    # What @dataclass writes by itself is no sentence.
    assert not said.startswith(f"{cls.__name__}(")
    assert said[0].isupper()
    assert said.endswith(".")
    assert len(said.split()) >= _WORDS_MIN
    assert "\n" not in said, "one line, because it is one sentence"
    # Names of classes are not for lawyers.
    assert not re.search(r"\b[A-Z][a-z]+[A-Z]\w*", said)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_has_a_schema_and_a_frozen_copy(name: str) -> None:
    assert (IN_FORCE / f"{name}.avsc").exists()
    assert frozen_path(MESSAGES[name]).exists()


def test_commands_wish_and_events_tell() -> None:
    past = re.compile(
        r"(ed|en|Gone|Sent|Held|Lost|Began|Unavailable|Unreadable)$|^CommandUnreadable$"
    )

    assert [e.__name__ for e in EVENTS if not past.search(e.__name__)] == []
    for cls in EVENTS:
        assert not re.search(r"(Updated|Changed|StatusSet)$", cls.__name__)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_a_topic_has_one_kind_of_writer_and_a_reader(topic: Topic) -> None:
    kinds = {KINDS[writer] for writer in topic.writers}

    # A dead letter is written by the service that could not read, whatever its kind.
    assert len(kinds) == 1
    assert topic.readers
    assert {*topic.writers, *topic.readers} <= {*SERVICES, *OUTSIDERS}


def test_only_the_decider_writes_the_log_and_the_orders() -> None:
    for topic in TOPICS:
        if topic.name == topics.DECISIONS or ".orders." in topic.name:
            assert topic.writers == ("decider",)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_of_the_catalogue_is_a_process(service: str) -> None:
    folder = ROOT / ("projections" if service == "projections" else f"services/{service}")

    assert (folder / "__main__.py").exists()


def _named_topics(source: Source) -> Iterator[str]:
    """The topics that a module takes from the catalogue by name."""
    made: dict[str, Any] = {name: getattr(topics, name) for name in dir(topics)}
    for name in (n.removeprefix("schemas.topics.") for n in source.imports()):
        if isinstance(made.get(name), str) and name.isupper():
            yield made[name]
        elif name in {"collect_orders", "erase_orders", "fragments"}:
            yield made[name](SOURCE)
        elif name in {"intake", "outcomes"}:
            yield made[name](PRODUCT)


def _service_of(source: Source) -> str:
    return "projections" if source.room == "projections" else source.name.split("/")[1]


def test_no_service_touches_a_topic_that_is_not_its_own() -> None:
    allowed = {topic.name: {*topic.writers, *topic.readers} for topic in TOPICS}
    strangers = {
        f"{source}: {topic}"
        for source in sources("services", "projections")
        for topic in _named_topics(source)
        if _service_of(source) not in allowed[topic]
    }

    assert strangers == set()


def test_topics_are_named_in_the_catalogue_only() -> None:
    spelt_out = re.compile(r"[\"']rights\.[a-z_.]+\.v1[\"']")
    elsewhere = {s.name for s in sources() if spelt_out.search(s.text)}

    assert elsewhere == {"schemas/topics.py"}

"""Parts of docs/ that are written from the code: `python -m tests.architecture.documents.generating`.

The text around a generated block is written by hand. A test sees that every block is current, so
that a picture in docs/ cannot say other things than the tables it was drawn from.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rights import events
from rights.lifecycle import (
    ERASURE_PHASES,
    ERASURE_TRANSITIONS,
    EXPORT_PHASES,
    EXPORT_TRANSITIONS,
    IRREVERSIBLE,
    Phase,
    State,
)
from schemas.catalogue import CLOCK_COMMANDS, COMMANDS, ENVELOPES, ORDERS, REPORTS
from schemas.topics import Topic, catalogue
from tests.architecture.tree import ROOT

COMMAND: Final = "python -m tests.architecture.documents.generating"
_BLOCK: Final = re.compile(
    r"(<!-- from the code: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL
)
# Stand-ins for whatever sources and product services an installation has.
_SOURCE, _PRODUCT = "source", "product-service"


def states(transitions: Mapping[State, Iterable[State]], first: Iterable[State]) -> str:
    """A state diagram; whatever leads nowhere is an end."""
    arrows = [f"    [*] --> {state}" for state in first]
    for state, following in transitions.items():
        arrows += [f"    {state} --> {after}" for after in sorted(following)]
        arrows += [] if following else [f"    {state} --> [*]"]
    return _mermaid("stateDiagram-v2", arrows)


def phases(transitions: Mapping[Phase, Iterable[Phase]]) -> str:
    """What a request in progress is busy with; from a red phase there is no way back."""
    named = {phase: "begun" if phase is Phase.NONE else str(phase) for phase in transitions}
    arrows = [
        f"    {named[phase]} --> {named[after]}"
        for phase, following in transitions.items()
        for after in sorted(following)
    ]
    red = [named[phase] for phase in transitions if phase in IRREVERSIBLE]
    if transitions is ERASURE_PHASES:
        arrows += [
            "    classDef final stroke:#b00,stroke-width:3px",
            f"    class {','.join(red)} final",
        ]
    return _mermaid("flowchart LR", arrows)


def _mermaid(kind: str, lines: list[str]) -> str:
    return "\n".join(["```mermaid", kind, *lines, "```"])


def messages(kinds: Iterable[type]) -> str:
    rows = ["| message | what it says | fields |", "|---|---|---|"]
    for cls in kinds:
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(cls))
        rows.append(f"| `{cls.__name__}` | {(cls.__doc__ or '').strip()} | {fields or 'none'} |")
    return "\n".join(rows)


def topics() -> str:
    rows = ["| topic | written by | read by | kept |", "|---|---|---|---|"]
    for topic in catalogue([_SOURCE], [_PRODUCT]):
        writers, readers = (_plain(names) for names in (topic.writers, topic.readers))
        rows.append(f"| `{_plain([topic.name])}` | {writers} | {readers} | {_kept(topic)} |")
    return "\n".join(rows)


def _plain(names: Iterable[str]) -> str:
    """Names with the stand-ins spelt out."""
    joined = ", ".join(names)
    for stand_in, spelt in ((_SOURCE, "<source>"), (_PRODUCT, "<product service>")):
        joined = joined.replace(f".{stand_in}.", f".{spelt}.")
    return joined.replace(_PRODUCT, "that product service")


def _kept(topic: Topic) -> str:
    return "for ever" if topic.kept is None else f"{topic.kept.days} d"


def _wishes() -> tuple[type, ...]:
    return tuple(cls for cls in COMMANDS if cls not in (*REPORTS, *CLOCK_COMMANDS))


def _members(union: object) -> tuple[type, ...]:
    return tuple(getattr(union, "__args__", ()))


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "export states": lambda: states(
        EXPORT_TRANSITIONS, (State.PENDING, State.AWAITING_CONFIRMATION)
    ),
    "erasure states": lambda: states(
        ERASURE_TRANSITIONS, (State.AWAITING_CONFIRMATION, State.AWAITING_GRACE)
    ),
    "export phases": lambda: phases(EXPORT_PHASES),
    "erasure phases": lambda: phases(ERASURE_PHASES),
    "commands": lambda: messages(_wishes()),
    "clock commands": lambda: messages(CLOCK_COMMANDS),
    "reports": lambda: messages(REPORTS),
    "export events": lambda: messages(_members(events.ExportEvent)),
    "erasure events": lambda: messages(_members(events.ErasureEvent)),
    "shared events": lambda: messages(_members(events.SharedEvent)),
    "system events": lambda: messages(_members(events.SystemEvent)),
    "orders": lambda: messages(ORDERS),
    "envelopes": lambda: messages(ENVELOPES),
    "topics": topics,
}
PAGES: Final = ("docs/lifecycle.md", "docs/events.md")


def current(text: str) -> str:
    """The page with every block as the code has it today."""
    return _BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m['name']]()}\n{m[3]}", text)


def named(text: str) -> list[str]:
    return [match["name"] for match in _BLOCK.finditer(text)]


def main() -> None:
    for page in PAGES:
        path = ROOT / page
        path.write_text(current(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

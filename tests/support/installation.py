"""One whole installation for the journeys: the embedded stack, every service, the demo's people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from devstack.demo.story import ACME, Story
from devstack.demo.visitor import Place, Visitor
from devstack.installation import Running, bring_up, open_stack
from devstack.launcher import Process
from devstack.products.loading import DemoPerson, people
from devstack.services import processes
from devstack.stack import StackSettings
from plumbing.config import load
from plumbing.process import Stop

BASE = "/api/v1/privacy"


@dataclass
class Installation:
    """A running installation, and what a test does to it."""

    running: Running
    _keys: int = 0
    _table: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        running = self.running
        rows = processes(running.endpoints, running.places, running.secrets)
        self._table = {row.name: row for row in rows}
        self.place = Place(api=running.places.api_url, issuer=running.endpoints.issuer_url)

    def person(self, name: str, tenant: str = ACME) -> DemoPerson:
        return next(p for p in people() if p.name.startswith(name) and p.tenant == tenant)

    def visit(self, name: str, tenant: str = ACME) -> Visitor:
        person = self.person(name, tenant)
        return Visitor(self.place, person.email, person.password)

    def key(self) -> str:
        self._keys += 1
        return f"journey-{self._keys}"

    def restart(self, name: str, *, failpoints: str = "") -> None:
        """Start a service anew, armed to die at a step or not."""
        row = self._table[name]
        armed = replace(row, env={**row.env, "HABEAS_FP": failpoints})
        supervisor = self.running.stack.supervisor
        supervisor.add([armed])
        supervisor.restart(name)

    def has_died(self, name: str) -> bool:
        pid = self.running.stack.supervisor.children.pid(name)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    def story(self) -> Story:
        return Story(self.running, lambda _what, _percent: None, lambda _sentence: None)


@contextmanager
def installed(state: Path) -> Iterator[Installation]:
    settings = replace(load(StackSettings), state=state)
    with open_stack(settings, Stop(), lambda _sentence: None) as stack:
        yield Installation(bring_up(stack))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("installation")) as found:
        yield found

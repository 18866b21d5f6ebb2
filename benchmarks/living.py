"""A whole installation at work: how fast it answers, how soon an export is ready, what it weighs."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

from devstack.demo.story import ACME
from devstack.demo.visitor import Place, Visitor
from devstack.installation import Running, bring_up, open_stack
from devstack.products.loading import people
from devstack.services import rows
from devstack.stack import StackSettings
from plumbing.config import load
from plumbing.process import Stop

BASE: Final = "/api/v1/privacy"
WARM_UPS: Final = 2


@dataclass(slots=True)
class Lived:
    """Seconds of each export from filing to ready, seconds to the answer, MiB of each process."""

    ready_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    peak_mib: dict[str, float] = field(default_factory=dict)


def live(state: Path, exports: int) -> Lived:
    """File exports one after the other, as one person in a browser would."""
    settings = replace(load(StackSettings), state=state)
    with open_stack(settings, Stop(), lambda _sentence: None) as stack:
        running = bring_up(stack)
        lived = _exports(running, exports)
        for row in rows():
            lived.peak_mib[row.name] = _peak_mib(stack.supervisor.children.pid(row.name))
    return lived


def _exports(running: Running, exports: int) -> Lived:
    place = Place(api=running.places.api_url, issuer=running.endpoints.issuer_url)
    cast = {p.name.split()[0]: p for p in people() if p.tenant == ACME}
    dana = Visitor(place, cast["Dana"].email, cast["Dana"].password)
    policy = {"profile": "workspace-admin", "package_format": "ZIP"}
    dana.post(f"{BASE}/policies", policy, "bench-policy")
    ada = Visitor(place, cast["Ada"].email, cast["Ada"].password)
    lived = Lived()
    for number in range(exports + WARM_UPS):
        begun_s = time.monotonic()
        filed = ada.post(f"{BASE}/requests", {"type": "export"}, f"bench-{number}")
        answered_s = time.monotonic() - begun_s
        path = f"{BASE}/requests/{filed['reference']}"
        while ada.get(path, position=filed["position"])["state"] != "COMPLETED":
            pass
        if number >= WARM_UPS:
            lived.ready_s.append(time.monotonic() - begun_s)
            lived.answered_s.append(answered_s)
    assert median(lived.ready_s) > 0, "exports took time"
    for visitor in (ada, dana):
        visitor.close()
    return lived


def _peak_mib(pid: int) -> float:
    """The most that a process ever held (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0

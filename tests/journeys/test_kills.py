"""Any one service is killed in the middle of the job; started again, the job ends right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest

from devstack.demo import evidence
from devstack.demo.visitor import DemoFailedError, Visitor
from tests.journeys.test_main_job import audit
from tests.support.installation import BASE, Installation
from tests.support.waiting import until

EXPORT_KILLS = [
    ("collectors-journal", "collector.order_read"),
    ("collectors-journal", "collector.fragment"),
    ("collectors-billing", "collector.fragments_done"),
    ("bundler", "bundler.order_read"),
    ("bundler", "bundler.completed"),
    ("bundler", "bundler.reported"),
    ("keyring", "keyring.put"),
    ("decider", "decider.committing"),
    ("decider", "decider.read_back"),
    ("projections", "projector.applied"),
    ("notifier", "notifier.sent"),
    ("request_api", "api.produced"),
]
ERASURE_KILLS = [
    ("Ada", "eraser", "eraser.called"),
    ("Bruno", "keyring", "keyring.dying"),
    ("Chidi", "eraser", "eraser.intent"),
]


@pytest.fixture(scope="module")
def dana(installation: Installation) -> Iterator[Visitor]:
    visitor = installation.visit("Dana")
    policy = {"profile": "workspace-admin", "package_format": "ZIP"}
    visitor.post(f"{BASE}/policies", policy, installation.key())
    yield visitor
    visitor.close()


def insist(visitor: Visitor, path: str, body: dict[str, object], key: str) -> str:
    """File with one key until somebody answers, as every careful client does."""

    def filed() -> str:
        try:
            answer = visitor.post(path, body, key)
        except (httpx2.TransportError, DemoFailedError):
            return ""
        reference: str = answer["reference"]
        return reference

    return until(filed, 60)


def finished(visitor: Visitor, reference: str) -> str:
    """The state in which a request ends, asked again while the API is away."""

    def state() -> str:
        try:
            body = visitor.get(f"{BASE}/requests/{reference}")
        except httpx2.TransportError:
            return ""
        found: str = body["state"]
        return found if found in {"COMPLETED", "FAILED"} else ""

    return until(state, 120)


@pytest.mark.parametrize(("service", "point"), EXPORT_KILLS)
def test_an_export_survives_the_death_of(
    service: str, point: str, installation: Installation, dana: Visitor
) -> None:
    dana.get(f"{BASE}/requests")
    herself = installation.visit("Ada")
    installation.restart(service, failpoints=f"{point}:1:kill")
    body: dict[str, object] = {"type": "export"}
    key = installation.key()
    path = f"{BASE}/requests"
    with suppress(httpx2.TransportError, DemoFailedError):
        # Killed in the middle of this very call, some services take the answer with them.
        herself.post(path, body, key)
    until(lambda: installation.has_died(service), 60)
    installation.restart(service)
    # The same key again: the first answer if there was one, and no second request in any case.
    reference = insist(herself, path, body, key)

    assert finished(herself, reference) == "COMPLETED"
    granted = herself.post(f"{path}/{reference}/downloads", None, installation.key())
    assert herself.download(granted["url"]).status_code == httpx2.codes.OK
    herself.close()


@pytest.mark.parametrize(("name", "service", "point"), ERASURE_KILLS)
def test_an_erasure_survives_the_death_of(
    name: str, service: str, point: str, installation: Installation, dana: Visitor
) -> None:
    person = installation.person(name)
    before = evidence.count(installation.running.endpoints, person)
    body: dict[str, object] = {
        "type": "erasure",
        "subject": {"email": person.email},
        "reason": "Asked for by letter",
    }
    reference = dana.post(f"{BASE}/requests", body, installation.key())["reference"]
    path = f"{BASE}/requests/{reference}"
    plan = until(lambda: dana.get(f"{path}/plan")["plan_hash"], 60)
    installation.restart(service, failpoints=f"{point}:1:kill")
    confirmation: dict[str, object] = {
        "typed_email": person.email,
        "reason": "Confirmed by telephone",
        "plan_hash": plan,
        "skip_grace": {"ground": "COURT_ORDER", "evidence": "File 12"},
    }
    dana.post(f"{path}/confirm-erasure", confirmation, installation.key())
    until(lambda: installation.has_died(service), 60)
    installation.restart(service)

    assert finished(dana, reference) == "COMPLETED"
    after = evidence.count(installation.running.endpoints, person)
    assert (after.journal, after.invoices) == (0, before.invoices)


def test_after_all_of_it_every_command_has_one_decision_and_the_log_verifies(
    installation: Installation,
) -> None:
    bootstrap = installation.running.endpoints.kafka_bootstrap
    verdict = audit("verify", "--bootstrap", bootstrap, "--json")

    assert verdict.returncode == 0, verdict.stdout
    assert json.loads(verdict.stdout)["voids"] == 0

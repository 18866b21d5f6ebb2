"""The request API on a real port, over a real decider and real views, with everybody invented.

One world serves many tests: each takes people of its own, and whoever takes a part away puts it
back. Only the broker, the vault, the directory and the store are in memory.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plumbing.config import Secret
from plumbing.directory import Person
from plumbing.kafka import Outgoing
from plumbing.objects import MemoryObjects
from plumbing.process import Stop
from plumbing.tenants import Tenant
from plumbing.web import WebServer
from projections.projector import LogIdentity
from projections.queries import open_queries
from projections.running import keep_progress, keep_views
from rights.events import ErasureSubmitted, ExportSubmitted
from rights.references import tenant_ref
from services.request_api.answers import AnswerBook
from services.request_api.building import build
from services.request_api.config import RequestApiConfig
from services.request_api.filing import Filing
from services.request_api.intake import Intake
from tests.plumbing.web.issuing import DemoIssuer
from tests.services.request_api.installation import ACME, POLICY, FaultyProducer, Installation
from tests.services.request_api.workers import plan_erasure, seal_export
from tests.support.asking import LOG_ID, PARTITIONS, SOURCES
from tests.support.waiting import until

BASE = "/api/v1/privacy"
REQUESTS = f"{BASE}/requests"
NORTH = "northwind-care"
SOLO = "solo-practice"
SERVICE = "journal-app"


class World(Installation):
    """ACME and SOLO have a policy; NORTH has none."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self.people |= {NORTH: [], SOLO: []}
        self.dsn = dsn
        self.stop = Stop()
        self.store = MemoryObjects(clock=self.clock)
        self.book = AnswerBook()
        self.listen(self.book.apply)
        self.fault: Callable[[Outgoing], None] = lambda _: None
        self._held = ExitStack()
        self._keys = itertools.count(1)

    def __enter__(self) -> Self:
        super().__enter__()
        self._project()
        self.queries = open_queries(self.dsn)
        self._held.callback(self.queries.close)
        self.issuer = self._held.enter_context(issuing())
        sender = FaultyProducer(self.connection.producer())
        sender.fault = self._failing
        self.filing = Filing(
            producer=sender,
            vault=self.keyring.client("request_api"),
            following=self.following,
            book=self.book,
            queries=self.queries,
            clock=self.clock,
            command_key=b"k" * 32,
            answer_within=timedelta(seconds=10),
        )
        self.tenants = {
            name: Tenant(name=name, identity=Secret("none"), product_services=services)
            for name, services in ((ACME, (SERVICE,)), (NORTH, ()), (SOLO, (SERVICE,)))
        }
        self.client = self.serve(self.filing)
        self.impatient = self.serve(replace(self.filing, answer_within=timedelta(seconds=0.3)))
        for _ in range(2):
            self.person("admin")
        self.publish_policy()
        self.publish_policy(replace(POLICY, grace=timedelta(0)), SOLO)
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop.set()
        self._held.close()
        super().__exit__(*failure)

    def _failing(self, out: Outgoing) -> None:
        self.fault(out)

    def _project(self) -> None:
        identity = LogIdentity(log_id=LOG_ID, partitions=PARTITIONS)
        for work in (
            lambda: keep_views(self.stop, self.connection, self.dsn, identity),
            lambda: keep_progress(self.stop, self.connection, self.dsn),
        ):
            thread = threading.Thread(target=work)
            thread.start()
            self._held.callback(thread.join, 10)

    def serve(self, filing: Filing) -> httpx2.Client:
        """An API of its own around this filing, on a port of its own."""
        settings = RequestApiConfig(
            kafka="",
            log_id=LOG_ID,
            partitions=PARTITIONS,
            sources=SOURCES,
            tenants=Path(),
            postgres=Secret(""),
            keyring_url="",
            keyring_token=Secret(""),
            command_key=Secret(""),
            issuer=self.issuer.url,
        )
        app = build(settings, self.store, filing, self.directory, self.tenants, self.stop)
        server = self._held.enter_context(
            WebServer(app, "127.0.0.1", 0, grace=timedelta(seconds=2))
        )
        client = httpx2.Client(base_url=server.url, timeout=30)
        self._held.callback(client.close)
        return client

    # Callers.

    def token(self, person: Person, *, tenant: str | None = ACME, **claims: Any) -> str:
        now = int(self.clock.now().timestamp())
        claims = {"iat": now, "exp": now + 300, "auth_time": now, **claims}
        roles = list(person.roles)
        return self.issuer.token(
            **{"sub": person.stable_id, "tenant": tenant, "roles": roles, **claims}
        )

    def signed_in(
        self, person: Person, *, tenant: str | None = ACME, **claims: Any
    ) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(person, tenant=tenant, **claims)}"}

    def key(self) -> str:
        return f"key-{next(self._keys)}"

    def post(
        self,
        person: Person,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        tenant: str = ACME,
        client: httpx2.Client | None = None,
    ) -> httpx2.Response:
        headers = {
            **self.signed_in(person, tenant=tenant),
            "Idempotency-Key": key or self.key(),
        }
        return (client or self.client).post(path, json=body, headers=headers)

    def get(
        self, person: Person, path: str, *, tenant: str = ACME, position: str = "", **query: Any
    ) -> httpx2.Response:
        headers = self.signed_in(person, tenant=tenant)
        if position:
            headers["Habeas-Position"] = position
        return self.client.get(path, headers=headers, params=query)

    # What has already happened when a test begins.

    def filed(
        self, person: Person, kind: str = "export", *, tenant: str = ACME, **body: Any
    ) -> dict[str, Any]:
        """A request, readable in the views; what the caller was answered."""
        answer = self.post(person, REQUESTS, {"type": kind, **body}, tenant=tenant)
        assert answer.status_code == 202, answer.text
        data: dict[str, Any] = answer.json()["data"]
        shown = self.get(
            person, f"{REQUESTS}/{data['reference']}", tenant=tenant, position=data["position"]
        )
        assert shown.status_code == 200, shown.text
        return data

    def request_id(self, answer: Mapping[str, Any]) -> str:
        """The request behind an answer's position."""
        partition, seq = map(int, answer["position"].split("-"))
        (entry,) = [
            e
            for e in list(self.entries)
            if (e.decision.partition, e.decision.seq) == (partition, seq)
        ]
        return entry.decision.command.id

    def request_id_of(self, reference: str, tenant: str = ACME) -> str:
        """The request that has this reference in a tenant."""
        (found,) = [
            event.request_id
            for entry in list(self.entries)
            for event in entry.events
            if isinstance(event, ExportSubmitted | ErasureSubmitted)
            and (event.reference, entry.decision.tenant_ref) == (reference, tenant_ref(tenant))
        ]
        return found

    def subject_ref(self, person: Person, tenant: str = ACME) -> str:
        ref = self.keyring.client("request_api").find(tenant, person.stable_id)
        assert ref is not None
        return ref

    def ready_export(self, person: Person, archive: bytes) -> str:
        """A completed export whose archive is in the store; its reference."""
        data = self.filed(person)
        seal_export(
            self,
            self.subject_ref(person),
            self.request_id(data),
            archive=archive,
            store=self.store,
        )
        self.until_shown(person, data["reference"], "COMPLETED")
        return str(data["reference"])

    def planned_erasure(self, admin: Person, person: Person) -> tuple[str, str]:
        """An erasure that an administrator filed, planned: its reference and plan hash."""
        subject = {"stable_id": person.stable_id}
        data = self.filed(admin, "erasure", subject=subject, reason="left the workspace")
        plan_erasure(self, self.request_id(data))
        path = f"{REQUESTS}/{data['reference']}/plan"
        plan_hash = until(lambda: self.get(admin, path).json()["data"]["plan_hash"])
        return data["reference"], plan_hash

    def until_shown(self, person: Person, reference: str, state: str) -> dict[str, Any]:
        def shown() -> dict[str, Any] | None:
            body: dict[str, Any] = self.get(person, f"{REQUESTS}/{reference}").json()["data"]
            return body if body["state"] == state else None

        found = until(shown)
        assert found is not None
        return found

    def commands_of(self, person: Person, tenant: str = ACME) -> list[str]:
        """The types of the commands decided about a person."""
        ref = self.keyring.client("request_api").find(tenant, person.stable_id)
        return [
            entry.decision.command.type
            for entry in list(self.entries)
            if ref is not None and entry.decision.subject_ref == ref
        ]

    # Product services.

    @contextmanager
    def taking_in(self) -> Iterator[threading.Thread]:
        """An intake on a thread of its own, as in the process."""
        stop = Stop()
        thread = threading.Thread(target=lambda: self.intake().run(stop))
        thread.start()
        try:
            yield thread
        finally:
            stop.set()
            thread.join(10)

    def intake(self) -> Intake:
        return Intake(
            group=self.connection.group("request_api", "request-api-1"),
            producer=self.filing.producer,
            reporter=self.reporter("request_api"),
            filing=replace(self.filing, answer_within=timedelta(seconds=0.5)),
            directory=self.directory,
            tenants=self.tenants,
            clock=self.clock,
            again_after_s=0.05,
        )


@contextmanager
def issuing() -> Iterator[DemoIssuer]:
    """An issuer of access tokens on a port of its own."""
    issuers: list[DemoIssuer] = []

    def discovery(_request: Request) -> Response:
        return issuers[0].discovery()

    def jwks(_request: Request) -> Response:
        return issuers[0].jwks()

    routes = [Route("/.well-known/openid-configuration", discovery), Route("/jwks", jwks)]
    with WebServer(Starlette(routes=routes), "127.0.0.1", 0) as server:
        issuers.append(DemoIssuer(server.url))
        yield issuers[0]

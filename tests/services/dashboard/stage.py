"""A dashboard before the real request API, over memory plumbing, real views and the real issuer.

What happens behind the API (collecting, sealing) is said by workers as the log sees them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from joserfc.jwk import RSAKey

from devstack.issuer import Issuer, Register
from plumbing.config import Secret
from plumbing.directory import Person
from plumbing.objects import MemoryObjects
from plumbing.process import Stop
from plumbing.web import WebServer
from projections.projector import LogIdentity
from projections.queries import open_queries
from projections.running import keep_progress, keep_views
from rights.events import ErasureSubmitted, ExportSubmitted
from services.dashboard.building import build as build_dashboard
from services.dashboard.config import DashboardConfig
from services.request_api.answers import AnswerBook
from services.request_api.building import build as build_api
from services.request_api.config import RequestApiConfig
from services.request_api.filing import Filing
from tests.services.dashboard.browser import Browser
from tests.services.request_api.installation import ACME, Installation
from tests.services.request_api.workers import seal_export
from tests.support.asking import LOG_ID, PARTITIONS, SOURCES

HOST = "127.0.0.1"
SESSION_KEY = Secret("5e551017" * 8)
NOWHERE = "http://127.0.0.1:9"


class Stage:
    """Use it as a context. Everybody whom `member` invents can sign in with `password_of`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.installation = Installation()
        self.clock = self.installation.clock
        self.store = MemoryObjects()
        self._book = AnswerBook()
        self.installation.listen(self._book.apply)
        self._people: list[Mapping[str, Any]] = []
        self.asked_of_issuer: list[str] = []
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as held:
            held.enter_context(self.installation)
            self._keep_views(held)
            self.issuer_url = self._issue(held)
            self.api_url = self._serve_api(held)
            self.url = held.enter_context(self.dashboard())
            self.installation.publish_policy()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._held.close()

    @contextmanager
    def dashboard(self, **changes: Any) -> Iterator[str]:
        """A dashboard of its own; where it is."""
        told: dict[str, Any] = {"request_api": self.api_url, "issuer": self.issuer_url} | changes
        config = DashboardConfig(session_key=SESSION_KEY, **told)
        with WebServer(build_dashboard(config, self.clock), HOST, 0) as server:
            yield server.url

    @contextmanager
    def browser(self, url: str = "") -> Iterator[Browser]:
        with Browser(url or self.url) as browser:
            yield browser

    @contextmanager
    def signed_in(self, person: Person, url: str = "") -> Iterator[Browser]:
        with self.browser(url) as browser:
            assert browser.sign_in(person.email, password_of(person)).status == 200
            yield browser

    def member(self, *roles: str) -> Person:
        person = self.installation.person(*(roles or ("member",)))
        self._people.append(
            {
                "username": person.email,
                "password": password_of(person),
                "sub": person.stable_id,
                "tenant": ACME,
                "roles": list(person.roles),
            }
        )
        return person

    def seal(self, reference: str, archive: bytes) -> None:
        """The workers finish an export."""
        subject_ref, request_id = self._known(reference)
        seal_export(self.installation, subject_ref, request_id, archive=archive, store=self.store)

    def filed_by(self, person: Person) -> list[str]:
        """The references of everything that a person filed."""
        ref = self.installation.keyring.client("request_api").find(ACME, person.stable_id)
        return [
            event.reference
            for entry in list(self.installation.entries)
            for event in entry.events
            if entry.decision.subject_ref == ref
            and isinstance(event, ExportSubmitted | ErasureSubmitted)
        ]

    def _known(self, reference: str) -> tuple[str, str]:
        (found,) = [
            (entry.decision.subject_ref or "", event.request_id)
            for entry in list(self.installation.entries)
            for event in entry.events
            if isinstance(event, ExportSubmitted) and event.reference == reference
        ]
        return found

    def _keep_views(self, held: ExitStack) -> None:
        stop, kafka = Stop(), self.installation.connection
        identity = LogIdentity(log_id=LOG_ID, partitions=PARTITIONS)
        threads = [
            threading.Thread(target=keep_views, args=(stop, kafka, self._dsn, identity)),
            threading.Thread(target=keep_progress, args=(stop, kafka, self._dsn)),
        ]
        for thread in threads:
            thread.start()
            held.callback(thread.join, 30)
        held.callback(stop.set)

    def _issue(self, held: ExitStack) -> str:
        """The embedded stack's issuer, by our clock; who is in its register may grow."""
        key = RSAKey.generate_key(2048, auto_kid=True)
        url = ""

        async def issuing(scope: Any, receive: Any, send: Any) -> None:
            self.asked_of_issuer.append(scope.get("path", ""))
            register = Register(tuple(self._people), ())
            issuer = Issuer(url=url, key=key, register=register, clock=self.clock)
            await issuer.application()(scope, receive, send)

        url = held.enter_context(WebServer(issuing, HOST, 0)).url
        return url

    def _serve_api(self, held: ExitStack) -> str:
        inside = self.installation
        queries = open_queries(self._dsn)
        held.callback(queries.close)
        filing = Filing(
            producer=inside.producer,
            vault=inside.keyring.client("request_api"),
            following=inside.following,
            book=self._book,
            queries=queries,
            clock=self.clock,
            command_key=b"k" * 32,
            answer_within=timedelta(seconds=10),
        )
        config = RequestApiConfig(
            kafka="in memory",
            log_id=LOG_ID,
            partitions=PARTITIONS,
            sources=SOURCES,
            tenants=Path("tenants.yaml"),
            postgres=Secret(self._dsn),
            keyring_url="in memory",
            keyring_token=Secret("t"),
            command_key=Secret("k" * 32),
            issuer=self.issuer_url,
        )
        stop = Stop()
        app = build_api(config, self.store, filing, inside.directory, {ACME}, stop)
        server = held.enter_context(WebServer(app, HOST, 0))
        held.callback(stop.set)
        return server.url


def password_of(person: Person) -> str:
    return f"quiet-harbour-{person.stable_id}"

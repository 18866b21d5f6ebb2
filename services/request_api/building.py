"""The application, put together from its parts."""

from collections.abc import Awaitable, Callable, Container
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from logbook.following import Following
from plumbing.directory import Directory, DirectoryUnavailable, PersonAmbiguous
from plumbing.objects import ObjectStore
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop
from plumbing.vault import VaultRefused, VaultUnavailable
from plumbing.web import (
    Authenticator,
    Caller,
    Issuer,
    Problem,
    TokenVerifier,
    application,
    bearer,
    respond,
)
from services.request_api.config import RequestApiConfig
from services.request_api.downloads import Downloads
from services.request_api.filing import Filing
from services.request_api.handlers import Handlers
from services.request_api.progress import Progress
from services.request_api.reading import Reading, tenant_of
from services.request_api.refusals import unavailable
from services.request_api.table import operations

LOOK_EVERY_S: Final = 0.5
_READS: Final = frozenset({"GET", "HEAD"})


def build(
    settings: RequestApiConfig,
    store: ObjectStore,
    filing: Filing,
    directory: Directory,
    tenants: Container[str],
    stop: Stop,
) -> Starlette:
    reading = Reading(queries=filing.queries, vault=filing.vault, known_seqs=filing.following.seqs)
    handlers = Handlers(
        filing=filing,
        reading=reading,
        directory=directory,
        sources=settings.sources,
        clock=filing.clock,
    )
    downloads = Downloads(
        vault=filing.vault,
        store=store,
        following=filing.following,
        book=filing.book,
        clock=filing.clock,
    )
    verifier = TokenVerifier(Issuer(url=settings.issuer, audience="habeas"), filing.clock)
    table = operations(handlers, downloads, Progress(reading, stop))
    app = application(table, _of_served_tenants(bearer(verifier), tenants))
    for failure, part in (
        (VaultUnavailable, "keyring"),
        (VaultRefused, "keyring"),
        (DirectoryUnavailable, "directory"),
        (DatabaseUnavailable, "database"),
    ):
        app.add_exception_handler(failure, _waiting_for(part))
    app.add_exception_handler(PersonAmbiguous, _ambiguous)
    return app


def watch(following: Following, stop: Stop) -> None:
    """End the process when the log can no longer be followed: without it nobody gets an answer."""
    while not stop.wait(LOOK_EVERY_S):
        following.check()


def _of_served_tenants(authenticate: Authenticator, tenants: Container[str]) -> Authenticator:
    """Nobody gets in for a tenant that this installation does not serve, whatever they ask for."""

    async def admit(request: Request) -> Caller:
        caller = await authenticate(request)
        if tenant_of(caller) not in tenants:
            raise Problem(
                403,
                "TENANT_UNKNOWN",
                "This installation does not serve your workspace.",
                next_step="Ask an operator to add it to the tenants' file.",
            )
        return caller

    return admit


def _waiting_for(part: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, _: Exception) -> Response:
        problem = unavailable(part, reads=request.method in _READS)
        return respond(problem, request.headers.get("accept", ""))

    return handle


async def _ambiguous(request: Request, _: Exception) -> Response:
    problem = Problem(
        409,
        "PERSON_AMBIGUOUS",
        "Several people share this e-mail address.",
        next_step="Name the person by stable_id instead.",
    )
    return respond(problem, request.headers.get("accept", ""))

"""The application, put together from its parts."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from plumbing.directory import Directory, DirectoryUnavailable, PersonAmbiguous
from plumbing.objects import S3Location, S3Objects
from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop
from plumbing.tenants import Tenant
from plumbing.vault import VaultRefused, VaultUnavailable
from plumbing.web import Issuer, Problem, TokenVerifier, application, bearer, respond
from services.request_api.config import RequestApiConfig, StoreConfig
from services.request_api.downloads import Downloads
from services.request_api.filing import Filing
from services.request_api.handlers import Handlers
from services.request_api.progress import Progress
from services.request_api.reading import Reading
from services.request_api.refusals import unavailable
from services.request_api.table import operations


def build(
    settings: RequestApiConfig,
    store: StoreConfig,
    filing: Filing,
    directory: Directory,
    tenants: Mapping[str, Tenant],
    stop: Stop,
) -> Starlette:
    reading = Reading(queries=filing.queries, vault=filing.vault)
    handlers = Handlers(
        filing=filing,
        reading=reading,
        directory=directory,
        tenants=tenants,
        sources=settings.sources,
        clock=filing.clock,
    )
    downloads = Downloads(
        vault=filing.vault,
        store=S3Objects(
            S3Location(
                endpoint=store.url,
                bucket=store.bucket,
                access_key=store.key,
                secret_key=store.secret,
            )
        ),
        following=filing.following,
        book=filing.book,
        clock=filing.clock,
    )
    verifier = TokenVerifier(Issuer(url=settings.issuer, audience="habeas"), filing.clock)
    table = operations(handlers, downloads, Progress(reading, stop))
    app = application(table, bearer(verifier))
    for failure, part in (
        (VaultUnavailable, "keyring"),
        (VaultRefused, "keyring"),
        (DirectoryUnavailable, "directory"),
        (DatabaseUnavailable, "database"),
    ):
        app.add_exception_handler(failure, _waiting_for(part))
    app.add_exception_handler(PersonAmbiguous, _ambiguous)
    return app


def _waiting_for(part: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, _: Exception) -> Response:
        return respond(unavailable(part), request.headers.get("accept", ""))

    return handle


async def _ambiguous(request: Request, _: Exception) -> Response:
    problem = Problem(
        409,
        "PERSON_AMBIGUOUS",
        "Several people share this e-mail address.",
        next_step="Name the person by stable_id instead.",
    )
    return respond(problem, request.headers.get("accept", ""))

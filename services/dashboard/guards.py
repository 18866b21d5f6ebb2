"""What stands before every page: whose forms are taken, and the headers of every answer.

Rule 1: a form is taken from our own pages only. Browsers say where a form comes from in
Sec-Fetch-Site, older ones in Origin; who says neither is refused. Origin may be `null` beside
Sec-Fetch-Site, because our own Referrer-Policy makes it so. (T-05)
Rule 2: no answer is kept by anybody, and no page runs a script or loads from elsewhere.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC: Final = "/static/"
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guarded:
    """The application behind both rules; `refuse` answers a form that is not ours."""

    def __init__(
        self, app: ASGIApp, origin: str, refuse: Callable[[Request], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._origin = origin
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(MutableHeaders(scope=message), str(scope["path"]))
            await send(message)

        answering: ASGIApp = self._app
        if scope["method"] not in _SAFE and not is_ours(Headers(scope=scope), self._origin):
            answering = await self._refuse(Request(scope, receive))
        await answering(scope, receive, send_guarded)


def is_ours(headers: Headers, origin: str) -> bool:
    """Whether a form with these headers was sent by a page of this origin."""
    site, named = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    if site:
        return site == "same-origin" and named.lower() in {"", "null", origin}
    return named.lower() == origin


def _protect(headers: MutableHeaders, path: str) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    headers["Cache-Control"] = "no-cache" if path.startswith(STATIC) else "no-store"

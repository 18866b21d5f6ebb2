"""An ASGI application under uvicorn, in a thread, so that `process.Stop` alone decides when to end.

No access log: paths hold tokens and addresses belong to people. It knows nothing of the app.
"""

import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from plumbing import telemetry
from plumbing.process import Stop

_GRACE: Final = timedelta(seconds=10)
_START_SECONDS: Final = 30
_log = telemetry.get(__name__)


class ServerDiedError(Exception):
    """The server ended although nobody had asked it to, or never came up."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()


class WebServer:
    """Serves while the `with` block runs; port 0 picks a free one."""

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        grace: timedelta = _GRACE,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self._host = host
        self._wanted_port = port
        self._grace = grace
        self._on_death = on_death
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                # Who forwards to us is not for the forwarded headers to say.
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=max(1, round(grace.total_seconds())),
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._closing = False
        self._socket: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.create_server((self._host, self._wanted_port), family=family)
        # asyncio leaves a socket made this way to Nagle, and every answer then waits some 40 ms for
        # an acknowledgement; what the listening socket says is inherited by each connection.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = int(self._socket.getsockname()[1])
        self._thread.start()
        self._server.settled.wait(_START_SECONDS)
        if not self._server.started:
            self.close()
            raise ServerDiedError("the application did not start")
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        """Accept no more, let running requests finish within the grace, then end."""
        self._closing = True
        self._server.should_exit = True
        self._thread.join(self._grace.total_seconds() + 5)
        if self._thread.is_alive():
            self._server.force_exit = True
            _log.error("server_left_behind", port=self.port)

    def _run(self) -> None:
        try:
            self._server.run([self._socket] if self._socket else None)
        except SystemExit:
            # uvicorn's way to say that the application did not start; also a handler's own doing.
            _log.error("server_ended", port=self.port)
        finally:
            if self._socket is not None:
                self._socket.close()
            self._server.settled.set()
            if not self._closing:
                self._on_death()


def serve(app: Any, host: str, port: int, stop: Stop, *, grace: timedelta = _GRACE) -> None:
    """Serve until `stop` is set.

    Raises:
        ServerDiedError: the server ended by itself; `stop` is set too, so that the rest ends.
    """
    died = threading.Event()

    def on_death() -> None:
        died.set()
        stop.set()

    with WebServer(app, host, port, grace=grace, on_death=on_death) as server:
        _log.info("ready", port=server.port)
        stop.wait()
        if died.is_set():
            raise ServerDiedError("the server ended by itself")

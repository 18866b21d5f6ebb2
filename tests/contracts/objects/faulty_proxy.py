"""A proxy in front of a real S3 server that breaks chosen answers and passes on all others.

Requests keep their Host header, so that their signatures stay right.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

INTERNAL_ERROR = b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


Real = Callable[[], Answer]
# Gets the means to ask the real server; answers, or None: the connection is reset.
Fault = Callable[[Real], Answer | None]


@dataclass(slots=True)
class Faults:
    """`on(matches, fault, times)`: the next `times` requests that match are answered by `fault`."""

    url: str = ""
    seen: list[str] = field(default_factory=list)
    _rules: list[tuple[Callable[[str], bool], Iterator[Fault]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, matches: Callable[[str], bool], fault: Fault, times: int = 1) -> None:
        self._rules.append((matches, iter([fault] * times)))

    def take(self, request: str) -> Fault | None:
        with self._lock:
            self.seen.append(request)
            for matches, faults in self._rules:
                if matches(request) and (fault := next(faults, None)) is not None:
                    return fault
        return None


def status(code: int, body: bytes = b"") -> Fault:
    """Answer without asking the real server."""
    return lambda _real: Answer(code, [("Content-Type", "application/xml")], body)


def reset(_real: Real) -> Answer | None:
    return None


def lost(real: Real) -> Answer | None:
    """The real server does it; its answer never arrives."""
    real()
    return None


def cut(after: int) -> Fault:
    """The answer's headers promise everything, its body ends early."""

    def fault(real: Real) -> Answer:
        answer = real()
        return Answer(answer.status, answer.headers, answer.body[:after])

    return fault


class _Server(ThreadingHTTPServer):
    def __init__(self, target: str, faults: Faults) -> None:
        address = urlsplit(target)
        self.target = (str(address.hostname), address.port)
        self.faults = faults
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        fault = self.server.faults.take(f"{self.command} {self.path}")
        answer = fault(lambda: self._forward(body)) if fault else self._forward(body)
        if answer is None:
            # A reset rather than an orderly end.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
        else:
            self._respond(answer)

    def _forward(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(*self.server.target)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "expect":
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        got = Answer(answer.status, answer.getheaders(), answer.read())
        connection.close()
        return got

    def _respond(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        length = len(answer.body)
        for name, value in answer.headers:
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() not in {"transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.close_connection = length != len(answer.body)

    def log_message(self, *_arguments: object) -> None:
        pass


for _method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
    setattr(_Handler, f"do_{_method}", _Handler.handle_any)


@contextmanager
def faulty_proxy(target: str) -> Iterator[Faults]:
    faults = Faults()
    with _Server(target, faults) as server:
        faults.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield faults
        finally:
            server.shutdown()
            thread.join()

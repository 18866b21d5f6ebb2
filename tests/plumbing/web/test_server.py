"""The server listens when it says so, ends when asked, and says so when it was not."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from plumbing.process import Stop
from plumbing.web import Answer, Call, Caller, Op, ServerDiedError, WebServer, application, serve
from tests.support.waiting import until


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


def said(capsys: pytest.CaptureFixture[str], event: str) -> str:
    """The first line about this event, as soon as it was written."""
    lines: list[str] = []

    def heard() -> bool:
        lines.extend(capsys.readouterr().err.splitlines())
        return any(event in line for line in lines)

    until(heard, 10)
    return next(line for line in lines if event in line)


def app() -> Starlette:
    return Starlette(routes=[Route("/", hello)])


def test_a_server_listens_on_a_free_port_until_it_is_closed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with WebServer(app(), "127.0.0.1", 0) as server:
        answer = httpx2.get(server.url)
        assert answer.text == "hello"
        assert "server" not in answer.headers

    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.url)
    assert capfd.readouterr() == ("", "")


def test_a_server_may_listen_on_ipv6() -> None:
    with WebServer(app(), "::1", 0) as server:
        assert httpx2.get(server.url).text == "hello"


def test_a_running_request_may_finish() -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(_request: Request) -> Response:
        running.set()
        go_on.wait(10)
        return PlainTextResponse("done")

    answers: list[str] = []
    with WebServer(Starlette(routes=[Route("/", slow)]), "127.0.0.1", 0) as server:
        asking = threading.Thread(target=lambda: answers.append(httpx2.get(server.url).text))
        asking.start()
        assert running.wait(10)
        closing = threading.Thread(target=server.close)
        closing.start()
        go_on.set()
        closing.join(10)
        asking.join(10)

    assert answers == ["done"]


def test_an_application_that_cannot_start_is_said_at_once() -> None:
    @asynccontextmanager
    async def broken(_app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError
        yield

    broken_server = WebServer(Starlette(lifespan=broken), "127.0.0.1", 0)
    with pytest.raises(ServerDiedError):
        broken_server.__enter__()


def test_serving_ends_with_stop(capsys: pytest.CaptureFixture[str]) -> None:
    stop = Stop()
    serving = threading.Thread(target=serve, args=(app(), "127.0.0.1", 0, stop))
    serving.start()
    said(capsys, "ready")

    stop.set()
    serving.join(10)

    assert not serving.is_alive()


def test_a_server_that_dies_ends_the_process() -> None:
    @asynccontextmanager
    async def dying(_app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().call_later(0.2, sys.exit)
        yield

    stop = Stop()

    with pytest.raises(ServerDiedError):
        serve(Starlette(lifespan=dying), "127.0.0.1", 0, stop)

    assert stop.is_set()


async def crash(_call: Call) -> Answer:
    raise RuntimeError("quoting ines@example.org")


async def half(_call: Call) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half of it"
        raise RuntimeError("quoting ines@example.org")

    return StreamingResponse(pieces(), headers={"Content-Length": "100"})


async def nobody(_request: Request) -> Caller:
    raise AssertionError("these operations are open to anyone")


def operation(path: str, handler: Any) -> Op:
    return Op(method="GET", path=path, handler=handler, summary="Test", auth=None)


def test_after_a_crash_the_connection_serves_whoever_tries_again() -> None:
    table = [operation("/crash", crash), operation("/ping", lambda _: Answer())]

    with WebServer(application(table, nobody), "127.0.0.1", 0) as server, httpx2.Client() as client:
        answers = [
            client.get(f"{server.url}{path}").status_code
            for path in ("/crash", "/ping", "/crash", "/crash", "/ping")
        ]

    assert answers == [500, 200, 500, 500, 200]


def test_an_answer_that_breaks_off_is_seen_to_be_none(caplog: pytest.LogCaptureFixture) -> None:
    app = application([operation("/half", half)], nobody)

    with WebServer(app, "127.0.0.1", 0) as server, pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{server.url}/half")

"""Live progress as server-sent events: one event whenever a request has moved, until its end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from plumbing.postgres import DatabaseUnavailable
from plumbing.process import Stop
from plumbing.web import Call, Caller
from services.request_api.models import RequestBody
from services.request_api.reading import Reading

PAUSE_S: Final = 0.25
HEARTBEAT_S: Final = 15
RETRY_MS: Final = 3000
ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED", "REJECTED"})


class Progress:
    """Streams end cooperatively when the process is asked to stop."""

    def __init__(self, reading: Reading, stop: Stop) -> None:
        self._reading = reading
        self._stop = stop

    async def stream(self, call: Call) -> Response:
        reference = str(call.path["reference"])
        caller = call.known_caller
        # Who may look is asked once, so that a stranger gets a 404 and not an empty stream, and so
        # that a person sees the end of their own erasure, after which nobody knows whose it was.
        await run_in_threadpool(self._reading.visible, caller, reference)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return EventSourceResponse(
            self._events(caller, reference), ping=HEARTBEAT_S, headers=headers
        )

    async def _events(self, caller: Caller, reference: str) -> AsyncIterator[ServerSentEvent]:
        told: RequestBody | None = None
        while not self._stop.is_set():
            try:
                body = await run_in_threadpool(self._look, caller, reference)
            except DatabaseUnavailable:
                # The stream ends, and whoever follows takes it up again (`retry`).
                return
            if body != told:
                told = body
                yield ServerSentEvent(
                    data=body.model_dump_json(),
                    event="progress",
                    id=str(body.version),
                    retry=RETRY_MS,
                )
            if body.state in ENDED:
                return
            await asyncio.sleep(PAUSE_S)

    def _look(self, caller: Caller, reference: str) -> RequestBody:
        return self._reading.body(self._reading.again(caller, reference))

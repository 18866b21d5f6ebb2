"""Live progress as server-sent events: one event whenever a request has moved, until its end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from plumbing.process import Stop
from plumbing.web import Call
from services.request_api.reading import Reading

PAUSE_S: Final = 0.25
HEARTBEAT_S: Final = 15
ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED", "REJECTED"})


class Progress:
    """Streams end cooperatively when the process is asked to stop."""

    def __init__(self, reading: Reading, stop: Stop) -> None:
        self._reading = reading
        self._stop = stop

    async def stream(self, call: Call) -> Response:
        reference = str(call.path["reference"])
        caller = call.known_caller
        # Asked once before streaming, so that a stranger gets a 404 and not an empty stream.
        await run_in_threadpool(self._reading.visible, caller, reference)

        async def events() -> AsyncIterator[ServerSentEvent]:
            told: tuple[int, int] | None = None
            while not self._stop.is_set():
                view = await run_in_threadpool(self._reading.visible, caller, reference)
                body = await run_in_threadpool(self._reading.body, view)
                if (body.version, body.percent) != told:
                    told = (body.version, body.percent)
                    yield ServerSentEvent(
                        data=body.model_dump_json(),
                        event="progress",
                        id=str(body.version),
                        retry=3000,
                    )
                if view.state in ENDED:
                    return
                await asyncio.sleep(PAUSE_S)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return EventSourceResponse(events(), ping=HEARTBEAT_S, headers=headers)

"""Server-sent events, and answers that end when their client goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar, final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


def write_event(value: Any) -> bytes:  # Any: the values of JSON
    """Return a value as one server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


@final
class EventStream(StreamingResponse):
    """A response of server-sent events.

    Args:
        release: called at the end in any case, also if no event was ever taken.
        on_gone: called if the client goes away before the end.
    """

    def __init__(self, events: AsyncGenerator[bytes], release: Callable[[], None], on_gone: Callable[[], None]) -> None:
        # nothing on the way may hold events back
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._watch(events), media_type="text/event-stream", headers=headers)
        self._release, self._on_gone, self._is_complete = release, on_gone, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()
            if not self._is_complete:
                self._on_gone()

    async def _watch(self, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for event in events:
            yield event
        self._is_complete = True


async def run_while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`, which is cancelled if the client goes away.

    Raises:
        ClientGoneError: it did.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        for part in (task, gone):
            part.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await part


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

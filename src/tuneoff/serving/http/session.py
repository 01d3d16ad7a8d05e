"""Requests on their way through the engine, whose events arrive in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import final

from tuneoff.serving.http.contract import Engine, Ticket
from tuneoff.serving.http.errors import ApiError
from tuneoff.serving.requests import Event, Failed, Finished, OnEvent, Request

STOPPING = "The server is stopping. Try again later."


@final
class Session:
    """Submits requests together, and cancels all that have not finished when it is left, whatever the reason.

    Raises:
        RequestError: the engine refuses one of them. Then none is answered.
    """

    def __init__(self, engine: Engine, requests: Sequence[Request], *, seconds: float) -> None:
        self._engine, self._requests, self._seconds = engine, requests, seconds
        self._queue: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._open: dict[int, Ticket] = {}

    async def __aenter__(self) -> Session:
        try:
            for index, request in enumerate(self._requests):
                self._open[index] = self._engine.submit(request, self._receiver(index))
        except BaseException:
            self.cancel()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Free the rows of all requests that have not finished."""
        while self._open:
            _, ticket = self._open.popitem()
            ticket.cancel()

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        """Yield the number of the request with each of its events, until all have finished.

        Raises:
            TimeoutError: the time is over.
            ApiError: the engine is stopping.
            Exception: what the engine failed with.
        """
        end = asyncio.get_running_loop().time() + self._seconds
        while self._open:
            async with asyncio.timeout_at(end):
                index, event = await self._queue.get()
            if isinstance(event, Failed):
                self._open.pop(index, None)
                raise event.error
            if isinstance(event, Finished):
                self._open.pop(index, None)
                if event.reason == "cancelled":
                    raise ApiError(503, STOPPING, code="stopping")
            yield index, event

    def _receiver(self, index: int) -> OnEvent:
        loop = asyncio.get_running_loop()

        def receive(event: Event) -> None:  # in the engine's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._queue.put_nowait, (index, event))

        return receive

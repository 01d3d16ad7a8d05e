"""The whole of what is served, as an ASGI application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneoff.errors import TuneoffError
from tuneoff.serving.http.api import Api
from tuneoff.serving.http.contract import Engine
from tuneoff.serving.http.errors import ApiError, answer_error
from tuneoff.serving.http.guards import Guard
from tuneoff.serving.http.meters import Meters
from tuneoff.serving.http.page.content import PageContent
from tuneoff.serving.http.page.routes import PageRoutes
from tuneoff.serving.http.prompts import Prompts
from tuneoff.serving.http.streams import ClientGoneError
from tuneoff.serving.limits import ServerLimits


def build_app(
    engine: Engine, *, key: str | None = None, limits: ServerLimits | None = None, content: PageContent | None = None
) -> ASGIApp:
    """Build the application. It stops the engine when it is shut down itself.

    Args:
        key: that requests must bring; None: none, and only this machine may ask.
        limits: those on one client. The engine has those on rows.
        content: of the page at `/`; None: there is no page.
    """
    limits = limits or ServerLimits()
    meters, prompts = Meters(engine), Prompts(engine)
    api = Api(
        engine=engine,
        prompts=prompts,
        meters=meters,
        chat_tokens=limits.chat_tokens,
        max_seconds=limits.seconds,
        started=int(time.time()),
    )

    @asynccontextmanager
    async def stop_at_end(_: Starlette) -> AsyncIterator[None]:
        yield
        engine.stop()  # open answers have had their time, see `Server`

    async def tell_health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "arms": len(engine.arms())})

    async def tell_metrics(_: Request) -> Response:
        return Response(meters.format(), media_type="text/plain; version=0.0.4")

    routes: list[Route] = [*api.routes, Route("/health", tell_health), Route("/metrics", tell_metrics)]
    if content is not None:
        page = PageRoutes(engine=engine, prompts=prompts, meters=meters, content=content, max_seconds=limits.seconds)
        routes += page.routes
    app = Starlette(routes=routes, lifespan=stop_at_end, exception_handlers=HANDLERS)
    guarded = Guard(app=app, key=key, max_body_bytes=limits.body_bytes)
    return _Count(app=guarded, meters=meters, paths=frozenset(route.path for route in routes))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's status for a client that has gone


HANDLERS = {
    HTTPException: answer_error,
    ApiError: answer_error,
    TuneoffError: answer_error,
    TimeoutError: answer_error,
    ClientGoneError: _answer_nobody,
    Exception: answer_error,
}


@final
@dataclass(frozen=True, kw_only=True)
class _Count:
    """Counts the responses of `app` by route and status."""

    app: ASGIApp
    meters: Meters
    paths: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope["path"] if scope["path"] in self.paths else "other"
                self.meters.responses.labels(route, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, count if scope["type"] == "http" else send)

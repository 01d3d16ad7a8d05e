"""The server around the application: its socket, its signals and its log."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import final

import uvicorn
from starlette.types import ASGIApp

from tuneoff.errors import RunError

BACKLOG = 512  # connections that wait to be accepted
MOST_CONNECTIONS = 1_000


@final
class Server:
    """Serves an application at a host and a port.

    Args:
        port: 0 takes any free one.
        drain_seconds: that open answers may still take after a signal to stop.

    Raises:
        RunError: the port is taken, or the host is not this machine's.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, drain_seconds: float) -> None:
        self.host = host
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the server."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`.

        Args:
            on_ready: called once requests are accepted.
        """

        async def serve() -> None:
            serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.01)
            if self._server.started:
                on_ready()
            await serving

        asyncio.run(serve())

    def stop(self) -> None:
        """End `run`, from any thread, as a signal does."""
        self._server.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise RunError(
            f"The server cannot listen at {host}:{port}: {error.strerror or error}. Choose another port with --port, "
            "or a host of this machine with --host."
        ) from error
    return bound

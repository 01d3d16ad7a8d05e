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
IDLE_SECONDS = 75  # longer than clients keep a connection, or they send into one that is being closed


@final
class Server:
    """Serves an application.

    Args:
        listener: that listens, see `listen`.
        drain_seconds: that open answers may still take after a signal to stop.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, *, drain_seconds: float) -> None:
        self._socket = listener
        self._host: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the server."""
        host = "127.0.0.1" if self._host in {"0.0.0.0", "::"} else self._host
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


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        port: 0 takes any free one.

    Raises:
        RunError: the port is taken, or the host is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise RunError(
            f"The server cannot listen at {host}:{port}: {error.strerror or error}. Choose another port with --port, "
            "or a host of this machine with --host."
        ) from error

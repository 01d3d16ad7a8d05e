"""S3 on this machine, by moto: one request after another, so that a conditional put is one step as it is on S3."""

from __future__ import annotations

import io
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.http_server import serve_beside

BUCKET = "tests"
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests", "AWS_DEFAULT_REGION": "us-east-1"}
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class S3Server:
    """The server. Threads and processes of this machine may use it."""

    def __init__(self, application: Application) -> None:
        self._application, self._lock = application, threading.Lock()
        self.port = 0
        self.is_down = False  # answers every request with 503
        self.slow_seconds = 0.0  # before every answer
        self.ignores_conditions = False  # as servers that speak an older S3

    def __call__(self, environment: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
        if self.is_down:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        time.sleep(self.slow_seconds)
        environment["wsgi.input"] = io.BytesIO(body)
        if self.ignores_conditions:
            environment.pop("HTTP_IF_NONE_MATCH", None)
        with self._lock:
            return list(self._application(environment, start_response))

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which this server is used."""
        return {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_MAX_ATTEMPTS": "1"}

    def reset(self) -> None:
        """Answer at once, and forget every object."""
        self.is_down, self.slow_seconds, self.ignores_conditions = False, 0.0, False
        address = f"http://127.0.0.1:{self.port}"
        for request in (
            urllib.request.Request(f"{address}/moto-api/reset", method="POST"),
            urllib.request.Request(f"{address}/{BUCKET}", method="PUT"),
        ):
            urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def serve_s3() -> Iterator[S3Server]:
    """Serve while the block runs."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class QuietHandler(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    application = S3Server(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)
    application.port = server.server_port
    with serve_beside(server):
        yield application

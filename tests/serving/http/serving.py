"""A real server on a real socket, in a thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tuneoff.serving.http.app import build_app
from tuneoff.serving.http.server import Server, listen


@contextlib.contextmanager
def serve(engine: Any, **options: Any) -> Iterator[Server]:
    server = Server(build_app(engine, **options), listen("127.0.0.1", 0), drain_seconds=2)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,))
    thread.start()
    try:
        assert ready.wait(30)
        yield server
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()

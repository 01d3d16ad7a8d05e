"""A server of the tests that runs in a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from threading import Thread


@contextmanager
def serve_beside(server: BaseServer) -> Iterator[None]:
    """Serve while the block runs, and close the server and its thread after it."""
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

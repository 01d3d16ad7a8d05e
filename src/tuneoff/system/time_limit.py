"""A limit on the time of work in Python that somebody else's file decides, such as a template's loops."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _ExpiredError(BaseException):
    """Not an Exception, so that the work cannot catch it."""


@contextmanager
def limit_seconds(seconds: float) -> Iterator[None]:
    """End the block once it has taken this long.

    The limit holds in the main thread alone, because only that receives signals, and between the operations of Python.

    Raises:
        TimeoutError: the block was ended.
    """
    outer_seconds = signal.getitimer(signal.ITIMER_REAL)[0]
    if threading.current_thread() is not threading.main_thread() or 0 < outer_seconds <= seconds:
        yield
        return

    def expire(*_: object) -> None:
        raise _ExpiredError

    start, outer_handler = time.monotonic(), signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _ExpiredError:
        raise TimeoutError(f"it had not ended after {seconds:g} seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_seconds:
            signal.setitimer(signal.ITIMER_REAL, max(outer_seconds - (time.monotonic() - start), 1e-3))

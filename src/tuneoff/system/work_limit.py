"""Limits on the time and the memory of work in Python that somebody else's file decides, such as a template's loops."""

from __future__ import annotations

import ctypes
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_BYTES = 2**30  # beyond what the process has: a hundred times the largest text that a template may write
_ADDRESS_SPACE = Path("/proc/self/statm")
_memory_lock = threading.RLock()  # a process has one limit on its address space


class _ExpiredError(BaseException):
    """Not an Exception, so that the work cannot catch it."""


@contextmanager
def limit_work(seconds: float, most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """End the block once it has taken this long, or asks for this much more memory.

    Time is looked at between the operations of Python. Memory is limited where the system can do it, as Linux can.

    Raises:
        TimeoutError: the block took too long.
        ValueError: it asked for too much memory.
    """
    in_time = _limit_in_main_thread if threading.current_thread() is threading.main_thread() else _limit_in_thread
    with _limit_memory(most_bytes), in_time(seconds):
        yield


@contextmanager
def _limit_in_main_thread(seconds: float) -> Iterator[None]:
    outer_seconds = signal.getitimer(signal.ITIMER_REAL)[0]
    if 0 < outer_seconds <= seconds:
        yield
        return

    def expire(*_: object) -> None:
        raise _ExpiredError

    start, outer_handler = time.monotonic(), signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _ExpiredError:
        raise TimeoutError(_describe(seconds)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_seconds:
            signal.setitimer(signal.ITIMER_REAL, max(outer_seconds - (time.monotonic() - start), 1e-3))


@contextmanager
def _limit_in_thread(seconds: float) -> Iterator[None]:
    """Only the main thread receives signals, so a timer raises the exception in this one."""
    thread, lock, ended = threading.get_ident(), threading.Lock(), threading.Event()

    def expire() -> None:
        with lock:
            if not ended.is_set():
                _raise_in(thread, _ExpiredError)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        try:
            yield
        finally:
            with lock:
                ended.set()
            timer.cancel()
            _raise_in(thread, None)  # an exception that has not arrived yet never does
    except _ExpiredError:
        raise TimeoutError(_describe(seconds)) from None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)


def _describe(seconds: float) -> str:
    return f"it had not ended after {seconds:g} seconds"


@contextmanager
def _limit_memory(most_bytes: int) -> Iterator[None]:
    with _memory_lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        try:
            used_bytes = int(_ADDRESS_SPACE.read_bytes().split()[0]) * resource.getpagesize()
        except OSError:  # not on Linux
            yield
            return
        limit = used_bytes + most_bytes
        if resource.RLIM_INFINITY != soft <= limit:
            yield
            return
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        try:
            yield
        except MemoryError:
            raise ValueError(f"it needs more than {most_bytes / 1e9:.1f} GB of memory") from None
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

"""Stop a run where no work is lost: after the current training step or batch, from which it can resume."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import final

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # the last: SLURM, before a limit
REPEAT_SECONDS = 0.3  # two signals within this time are one, sent to this process and also passed on by its supervisor
STOPPING = b"\nStopping after this step. A second signal stops at once and loses the work since the last checkpoint.\n"


class Stopped(KeyboardInterrupt):
    """The work was stopped early. What it has written is complete, and the same call resumes it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class StopRequest:
    """A request to stop, set from outside and checked wherever stopping loses no work.

    Args:
        find_reason: returns another reason to stop, such as a spent budget, or None. It is called at every check.
    """

    def __init__(self, find_reason: Callable[[], str | None] = lambda: None) -> None:
        self._reason: str | None = None
        self._find_reason = find_reason

    def request(self, reason: str) -> None:
        """Ask the work to stop at its next check. The first reason is kept."""
        self._reason = self._reason or reason

    def get_reason(self) -> str | None:
        """Return why to stop, or None to continue."""
        return self._reason or self._find_reason()

    def raise_if_requested(self) -> None:
        """Stop here if a stop was requested.

        Raises:
            Stopped: a stop was requested.
        """
        if reason := self.get_reason():
            raise Stopped(reason)


@contextlib.contextmanager
def stop_on_signals(stop: StopRequest, *, announce: bool = True) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal into a request to stop, with the signal's name as its reason.

    A second signal raises KeyboardInterrupt at once. Python handles signals only in its main thread; in other threads
    this does nothing.

    Args:
        announce: whether to say in the terminal that the work stops.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    times: list[float] = []

    def handle(number: int, _: object) -> None:
        previous, now = times[-1] if times else -math.inf, time.monotonic()
        if now - previous < REPEAT_SECONDS:
            return
        times.append(now)
        if len(times) > 1:
            raise KeyboardInterrupt
        stop.request(signal.Signals(number).name)
        if announce:
            _print_to_terminal(STOPPING)

    with handle_stop_signals(handle):
        yield


@contextlib.contextmanager
def handle_stop_signals(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Call `handler` for the signals that stop a run while the block runs.

    Signals that this process was started to ignore, for example by nohup, stay ignored.
    """
    handled = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, previous_handler in previous.items():  # None: it was not set from Python
            signal.signal(number, signal.SIG_DFL if previous_handler is None else previous_handler)


def _print_to_terminal(text: bytes) -> None:
    """Write to standard error without `print`, which a signal can interrupt halfway.

    If standard output or standard error belong to a terminal that was closed, redirect them to the null device, so
    that later writes do not fail.
    """
    for output, content in ((1, b""), (2, text)):
        try:
            os.write(output, content)
        except OSError:
            null_device = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null_device, output)
            os.close(null_device)

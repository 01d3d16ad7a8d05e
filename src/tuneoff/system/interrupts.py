"""How a run is asked to end: at the next point from which it can go on without loss."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import final

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TOGETHER = 0.3  # seconds: one signal that came by two ways, to this process and to the one that hands it on
SAID = b"\nStopping after this step. Once more stops at once, and goes back to the last checkpoint.\n"


class Stopped(KeyboardInterrupt):
    """Work that ended early because it was asked to. What is kept is whole, and the same call goes on from there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class StopRequest:
    """Whether to end, and why; asked for from outside, and looked at where nothing is lost by ending.

    Args:
        when: another reason to end, or none, asked anew each time: a budget that is spent.
    """

    def __init__(self, when: Callable[[], str | None] = lambda: None) -> None:
        self._reason: str | None = None
        self._when = when

    def ask(self, reason: str) -> None:
        """End at the next point from which to go on. The first reason stands."""
        self._reason = self._reason or reason

    def asked(self) -> str | None:
        """Why to end; None to go on."""
        return self._reason or self._when()

    def raise_if_requested(self) -> None:
        """End here, if it was asked for.

        Raises:
            Stopped: it was.
        """
        if reason := self.asked():
            raise Stopped(reason)


def get_handled_signals() -> list[signal.Signals]:
    """The signals that ask for an end, but for those that this process was started to ignore."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def stop_on_signals(stop: StopRequest) -> Iterator[None]:
    """Take Ctrl-C, SIGTERM and a terminal that is closed as asking for `stop`, by the signals' names; a second one
    raises KeyboardInterrupt at once. Two within `TOGETHER` seconds are one.

    Python takes signals in its main thread alone; elsewhere this does nothing. Those that the process was started to
    ignore, as by nohup, it goes on ignoring.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[float] = []

    def ask(number: int, _: object) -> None:
        earlier, now = seen[-1] if seen else -math.inf, time.monotonic()
        if now - earlier < TOGETHER:
            return
        seen.append(now)
        if len(seen) > 1:
            raise KeyboardInterrupt
        stop.ask(signal.Signals(number).name)
        _say(SAID)

    before = {number: signal.signal(number, ask) for number in get_handled_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _say(text: bytes) -> None:
    """On the terminal, by no print: a handler may come in the middle of one. What is written to one that is closed goes
    nowhere from now on, so that nobody fails in trying."""
    for output, said in ((1, b""), (2, text)):
        try:
            os.write(output, said)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)

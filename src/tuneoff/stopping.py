"""How a run is asked to end: at the next point from which it can go on without loss."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import final

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAID = b"\nStopping after this step. Once more stops at once, and goes back to the last checkpoint.\n"


class Stopped(KeyboardInterrupt):
    """Work that ended early because it was asked to. What is kept is whole, and the same call goes on from there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class Stop:
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

    def heed(self) -> None:
        """End here, if it was asked for.

        Raises:
            Stopped: it was.
        """
        if reason := self.asked():
            raise Stopped(reason)


@contextlib.contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Take SIGINT and SIGTERM as asking for `stop`, by their names; a second one raises KeyboardInterrupt at once.

    Python takes signals in its main thread alone; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []

    def ask(number: int, _: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        stop.ask(signal.Signals(number).name)
        os.write(2, SAID)  # no print: a handler may come in the middle of one

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

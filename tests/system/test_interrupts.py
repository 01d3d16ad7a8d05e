"""A run ends where nothing is lost: at once only when it is told a second time."""

import os
import signal
import threading

import pytest

from tuneoff.system import interrupts
from tuneoff.system.interrupts import Stopped, StopRequest, stop_on_signals


def test_nothing_happens_until_it_is_asked_for() -> None:
    StopRequest().raise_if_requested()
    assert StopRequest().asked() is None


def test_the_first_reason_stands() -> None:
    stop = StopRequest()
    stop.ask("one")
    stop.ask("two")
    with pytest.raises(Stopped, match="one"):
        stop.raise_if_requested()


def test_a_reason_from_elsewhere_is_asked_for_each_time() -> None:
    spent: list[str] = []
    stop = StopRequest(when=lambda: spent[-1] if spent else None)
    stop.raise_if_requested()
    spent.append("the budget is spent")
    assert stop.asked() == "the budget is spent"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_and_a_second_one_stops_at_once(
    number: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, before, now = StopRequest(), signal.getsignal(number), [100.0]
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    with stop_on_signals(stop):
        os.kill(os.getpid(), number)
        assert stop.asked() == signal.Signals(number).name
        assert "Once more stops at once" in capfd.readouterr().err
        os.kill(os.getpid(), number)  # the same one, handed on by another process as well
        now[0] += 1.1 * interrupts.TOGETHER
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # likewise
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_signals_stay_as_they_are() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        with stop_on_signals(StopRequest()):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]

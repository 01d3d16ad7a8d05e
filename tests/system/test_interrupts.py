"""A run stops where no work is lost, and at once only on a second signal."""

import os
import signal
import threading

import pytest

from tuneoff.system import interrupts
from tuneoff.system.interrupts import Stopped, StopRequest, stop_on_signals


def test_without_a_request_the_work_continues() -> None:
    StopRequest().raise_if_requested()
    assert StopRequest().get_reason() is None


def test_the_first_reason_is_kept() -> None:
    stop = StopRequest()
    stop.request("one")
    stop.request("two")
    with pytest.raises(Stopped, match="one"):
        stop.raise_if_requested()


def test_another_reason_is_looked_for_at_every_check() -> None:
    reasons: list[str] = []
    stop = StopRequest(find_reason=lambda: reasons[-1] if reasons else None)
    stop.raise_if_requested()
    reasons.append("the budget is spent")
    assert stop.get_reason() == "the budget is spent"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_requests_a_stop_and_a_second_one_stops_at_once(
    number: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, before, now = StopRequest(), signal.getsignal(number), [100.0]
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    with stop_on_signals(stop):
        os.kill(os.getpid(), number)
        assert stop.get_reason() == signal.Signals(number).name
        assert "A second signal stops at once" in capfd.readouterr().err
        os.kill(os.getpid(), number)  # the same signal, passed on by the supervisor
        now[0] += 1.1 * interrupts.REPEAT_SECONDS
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # again passed on
    assert signal.getsignal(number) is before


def test_a_quiet_process_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    stop = StopRequest()
    with stop_on_signals(stop, announce=False):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.get_reason() == "SIGTERM"
    assert capfd.readouterr().err == ""


def test_signal_handlers_are_not_changed_outside_the_main_thread() -> None:
    before, handlers = signal.getsignal(signal.SIGTERM), []

    def record_handler() -> None:
        with stop_on_signals(StopRequest()):
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=record_handler)
    thread.start()
    thread.join()
    assert handlers == [before]

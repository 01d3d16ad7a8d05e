"""Work in Python that takes too long is ended."""

import itertools
import signal
import threading
import time

import pytest

from tuneoff.system.time_limit import limit_seconds


def loop() -> None:
    for _ in itertools.count():
        try:
            pass
        except Exception:
            continue


def test_a_loop_is_ended() -> None:
    with pytest.raises(TimeoutError, match=r"had not ended after 0.1 seconds"), limit_seconds(0.1):
        loop()


def test_work_that_ends_in_time_leaves_no_timer_and_no_handler() -> None:
    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0
    with limit_seconds(5):
        pass
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0) == before


def test_a_timer_of_the_caller_goes_on() -> None:
    with limit_seconds(30):
        with limit_seconds(5):
            time.sleep(0.05)
        assert 25 < signal.getitimer(signal.ITIMER_REAL)[0] < 29.99


def test_another_thread_works_without_a_limit() -> None:
    ended = []

    def work() -> None:
        with limit_seconds(0.01):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]

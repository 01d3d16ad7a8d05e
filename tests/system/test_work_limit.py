"""Work in Python that takes too long or too much memory is ended, in any thread."""

import itertools
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tuneoff.system.work_limit import limit_work


def loop() -> None:
    for _ in itertools.count():
        try:
            pass
        except Exception:
            continue


def test_a_loop_is_ended() -> None:
    with pytest.raises(TimeoutError, match=r"had not ended after 0.1 seconds"), limit_work(0.1):
        loop()


def test_work_that_ends_in_time_leaves_no_timer_and_no_handler() -> None:
    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0
    with limit_work(5):
        pass
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0) == before


def test_a_timer_of_the_caller_goes_on() -> None:
    with limit_work(30):
        with limit_work(5):
            time.sleep(0.05)
        assert 25 < signal.getitimer(signal.ITIMER_REAL)[0] < 29.99


def run_in_thread(work: Callable[[], None]) -> list[BaseException | None]:
    """Return what the work raised in another thread, and after it."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)
        else:
            raised.append(None)
        time.sleep(0.3)  # nothing arrives late

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


def test_a_loop_in_another_thread_is_ended_too() -> None:
    def work() -> None:
        with limit_work(0.1):
            loop()

    (error,) = run_in_thread(work)
    assert isinstance(error, TimeoutError)


def test_work_in_another_thread_that_ends_in_time_is_left_alone() -> None:
    def work() -> None:
        with limit_work(0.2):
            pass

    assert run_in_thread(work) == [None]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the address space")
@pytest.mark.parametrize("in_thread", [False, True])
def test_what_asks_for_too_much_memory_is_ended_and_the_limit_is_as_before(in_thread: bool) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)

    def work() -> None:
        with limit_work(30, most_bytes=2**28):
            bytearray(2**29)

    (error,) = run_in_thread(work) if in_thread else [raise_and_catch(work)]
    assert isinstance(error, ValueError)
    assert str(error) == "it needs more than 0.3 GB of memory"
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def raise_and_catch(work: Callable[[], None]) -> BaseException | None:
    try:
        work()
    except ValueError as error:
        return error
    return None

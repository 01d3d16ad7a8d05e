"""The meter counts the seconds and memory of each phase separately."""

import time

import pytest
import torch

from tuneoff.records.record import Memory
from tuneoff.runtime.meter import Meter, max_memory

MIB = 2**20


@pytest.fixture
def meter() -> Meter:
    return Meter(torch.device("cpu"))


def allocate(mebibytes: int) -> None:
    torch.ones(mebibytes * MIB // 4).sum()


def get_peak(meter: Meter, phase: str) -> int:
    memory = meter.get_peak(phase)
    assert memory is not None
    assert memory.resident_bytes is not None
    return memory.resident_bytes


def test_the_seconds_of_a_phase_add_up(meter: Meter) -> None:
    for _ in range(2):
        with meter.phase("training"):
            time.sleep(0.02)
    assert 0.04 <= meter.get_seconds("training") < 1.0


def test_time_between_phases_is_not_counted(meter: Meter) -> None:
    with meter.phase("training"):
        pass
    time.sleep(0.1)
    assert meter.get_seconds("training") < 0.1


def test_a_phase_that_was_never_entered_has_no_seconds_and_no_memory(meter: Meter) -> None:
    assert (meter.get_seconds("training"), meter.get_peak("training")) == (0.0, None)


def test_the_peak_of_a_phase_includes_what_it_allocated(meter: Meter) -> None:
    with meter.phase("small"):
        pass
    with meter.phase("large"):
        allocate(300)
    assert get_peak(meter, "large") - get_peak(meter, "small") > 250 * MIB


def test_the_peak_of_a_phase_does_not_include_an_earlier_phase(meter: Meter) -> None:
    with meter.phase("large"):
        allocate(300)
    with meter.phase("small"):
        pass
    assert get_peak(meter, "large") - get_peak(meter, "small") > 250 * MIB


def test_a_phase_that_raises_is_counted(meter: Meter) -> None:
    with pytest.raises(KeyError), meter.phase("training"):
        raise KeyError
    assert meter.get_peak("training") is not None


def test_max_memory_returns_the_higher_peak() -> None:
    low, high = Memory(resident_bytes=1), Memory(resident_bytes=2)
    assert (max_memory(low, high), max_memory(None, low), max_memory(None, None)) == (high, low, None)

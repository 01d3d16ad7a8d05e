"""The meter counts a phase's own seconds and memory, and nobody else's."""

import time

import pytest
import torch

from tuneoff.records.record import Memory
from tuneoff.runtime.meter import Meter, max_memory

MIB = 1 << 20


@pytest.fixture
def meter() -> Meter:
    return Meter(torch.device("cpu"))


def hold(mebibytes: int) -> None:
    torch.ones(mebibytes * MIB // 4).sum()


def peak(meter: Meter, phase: str) -> int:
    memory = meter.memory(phase)
    assert memory is not None
    assert memory.resident_bytes is not None
    return memory.resident_bytes


def test_seconds_of_a_phase_add_up(meter: Meter) -> None:
    for _ in range(2):
        with meter.phase("training"):
            time.sleep(0.02)
    assert 0.04 <= meter.seconds("training") < 1.0


def test_what_happens_between_phases_is_not_counted(meter: Meter) -> None:
    with meter.phase("training"):
        pass
    time.sleep(0.1)
    assert meter.seconds("training") < 0.1


def test_a_phase_that_never_began_took_nothing(meter: Meter) -> None:
    assert (meter.seconds("training"), meter.memory("training")) == (0.0, None)


def test_a_phase_shows_the_memory_that_it_held(meter: Meter) -> None:
    with meter.phase("small"):
        pass
    with meter.phase("large"):
        hold(300)
    assert peak(meter, "large") - peak(meter, "small") > 250 * MIB


def test_an_earlier_phase_does_not_show_in_a_later_one(meter: Meter) -> None:
    with meter.phase("large"):
        hold(300)
    with meter.phase("small"):
        pass
    assert peak(meter, "large") - peak(meter, "small") > 250 * MIB


def test_a_phase_that_fails_is_counted_too(meter: Meter) -> None:
    with pytest.raises(KeyError), meter.phase("training"):
        raise KeyError
    assert meter.memory("training") is not None


def test_the_higher_of_two_peaks_is_kept() -> None:
    low, high = Memory(resident_bytes=1), Memory(resident_bytes=2)
    assert (max_memory(low, high), max_memory(None, low), max_memory(None, None)) == (high, low, None)

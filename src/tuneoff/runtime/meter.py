"""What a phase costs: seconds by one clock, and the most memory held.

Training and evaluation are phases of their own, so that neither's cost is filed under the other.
"""

import contextlib
import ctypes
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from tuneoff.records.record import Memory

MAPPED_ALONE = 32 * 2**20  # bytes: what glibc asks the kernel for piece by piece


class Meter:
    """Seconds and peak memory by phase, summed over and maximised over the times it was entered.

    On a CPU, memory is the process's resident peak as the kernel counts it: libraries and weights are in it. The
    kernel's high-water mark is restarted at the begin of each phase, after memory that is free but not yet given
    back was given back.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._memory: dict[str, Memory] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what the block takes under `name`."""
        reset = _restart_high_water(self._device)
        synchronize(self._device)
        start = time.perf_counter()
        try:
            yield
        finally:
            synchronize(self._device)  # a kernel still in the queue is not yet paid for
            self._seconds[name] = self.seconds(name) + time.perf_counter() - start
            now = _high_water(self._device, reset)
            self._memory[name] = max_memory(self.memory(name), now) or now

    def seconds(self, name: str) -> float:
        """What the phase took, in all; zero if it never began."""
        return self._seconds.get(name, 0.0)

    def peaks(self) -> dict[str, Memory]:
        """The most that was held in each phase that began."""
        return dict(self._memory)

    def recall(self, peaks: Mapping[str, Memory]) -> None:
        """Count what an earlier process held of the same work."""
        self._memory |= {name: max_memory(self.memory(name), there) or there for name, there in peaks.items()}

    def memory(self, name: str) -> Memory | None:
        """The most that was held in the phase; None if it never began."""
        return self._memory.get(name)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _restart_high_water(device: torch.device) -> bool:
    """Restart the peak counters; false where the system has no way to.

    Cycles are not looked for: that takes longer than a small phase. A trial does it once, when it is over.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()  # reserved memory of an earlier phase is not this one's
        torch.cuda.reset_peak_memory_stats(device)
        return True
    _give_back_free_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size
    except OSError:
        return False
    return True


def _high_water(device: torch.device, reset: bool) -> Memory:
    if device.type == "cuda":
        return Memory(
            allocated_bytes=torch.cuda.max_memory_allocated(device),
            reserved_bytes=torch.cuda.max_memory_reserved(device),
        )
    return Memory(resident_bytes=peak_resident_bytes(), reset=reset)


def peak_resident_bytes() -> int:
    """The most that this process held since the mark was restarted, libraries included."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Have glibc keep what a step frees for the next one.

    Left to itself it hands what is larger than `MAPPED_ALONE` back at once, and the kernel fills its pages with zeros
    again; where gradients are of that size, that is a quarter of a step. Small tensors in the gaps that large ones
    leave take more memory, up to a seventh, so that it is for those steps alone (mallopt(3)).
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", lambda *_: None)  # other systems' allocators have no such call
    trim_threshold, map_threshold, most_maps = -1, -3, -4
    set_option(most_maps, 0)
    set_option(trim_threshold, 2**31 - 1)
    try:
        yield
    finally:
        set_option(most_maps, 65536)
        set_option(map_threshold, MAPPED_ALONE)  # what it comes to by itself
        set_option(trim_threshold, 2 * MAPPED_ALONE)


def _give_back_free_memory() -> None:
    """Ask glibc to return what an earlier trial freed; other systems' allocators have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def max_memory(a: Memory | None, b: Memory | None) -> Memory | None:
    """The one with the higher peak."""
    return max((m for m in (a, b) if m), key=lambda memory: memory.peak_bytes or 0, default=None)

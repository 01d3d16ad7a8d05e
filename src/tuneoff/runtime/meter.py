"""The seconds and the peak memory of each phase.

Training and evaluation are separate phases, so that the cost of one does not count as the other's.
"""

import contextlib
import ctypes
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from tuneoff.records.record import Memory
from tuneoff.system import accelerators

MMAP_THRESHOLD = 32 * 2**20  # bytes; glibc gets each larger block from the kernel by a separate mmap(2)


class Meter:
    """Seconds and peak memory by phase: the sum and the maximum over the times that it was entered.

    On a CPU, memory is the peak resident set size of the process, which includes libraries and weights. Each phase
    starts by returning freed memory to the kernel and resetting the kernel's high-water mark.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[str, float] = {}
        self._memory: dict[str, Memory] = {}

    @contextlib.contextmanager
    def phase(self, name: str, read_others: Callable[[], Sequence[Memory]] = tuple) -> Iterator[None]:
        """Count the seconds and memory of the block under `name`.

        Args:
            read_others: returns the peaks of further processes that worked on the block, at its end.
        """
        was_reset = _reset_peak(self._device)
        accelerators.synchronize(self._device)
        start = time.perf_counter()
        try:
            yield
        finally:
            accelerators.synchronize(self._device)  # a kernel still in the queue has not been counted yet
            self._seconds[name] = self.get_seconds(name) + time.perf_counter() - start
            peak = add_memories(_read_peak(self._device, was_reset), read_others())
            self._memory[name] = max_memory(self.get_peak(name), peak) or peak

    def get_seconds(self, name: str) -> float:
        """Return the phase's total seconds; zero if it was never entered."""
        return self._seconds.get(name, 0.0)

    def get_peaks(self) -> dict[str, Memory]:
        """Return the peak memory of each phase that was entered."""
        return dict(self._memory)

    def include_peaks(self, peaks: Mapping[str, Memory]) -> None:
        """Include the peaks of an earlier process that did part of the same work."""
        self._memory |= {name: max_memory(self.get_peak(name), peak) or peak for name, peak in peaks.items()}

    def get_peak(self, name: str) -> Memory | None:
        """Return the phase's peak memory; None if it was never entered."""
        return self._memory.get(name)


def _reset_peak(device: torch.device) -> bool:
    """Reset the peak memory counter; return False where the system cannot.

    Garbage is not collected here, because that takes longer than a small phase. A trial collects it once, at its end.
    """
    if device.type != "cpu":
        accelerators.reset_peak(device)
        return True
    _release_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size
    except OSError:
        return False
    return True


def _read_peak(device: torch.device, was_reset: bool) -> Memory:
    if device.type != "cpu":
        allocated_bytes, reserved_bytes = accelerators.read_peak_bytes(device)
        return Memory(allocated_bytes=allocated_bytes, reserved_bytes=reserved_bytes)
    return Memory(resident_bytes=get_peak_resident_bytes(), reset=was_reset)


def get_peak_resident_bytes() -> int:
    """Return the peak resident set size of this process since the last reset, libraries included."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Let glibc keep the memory that a step frees for the next one (mallopt(3)).

    By default glibc returns blocks larger than `MMAP_THRESHOLD` at once, and the kernel zeroes their pages again; with
    gradients of that size this takes a quarter of a step. Keeping them costs up to a seventh more memory, because
    small tensors fill the gaps that large ones leave, so only such steps use it.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", lambda *_: None)  # glibc only
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4
    set_option(mmap_max, 0)
    set_option(trim_threshold, 2**31 - 1)
    try:
        yield
    finally:
        set_option(mmap_max, 65536)
        set_option(mmap_threshold, MMAP_THRESHOLD)  # the value that glibc itself settles on
        set_option(trim_threshold, 2 * MMAP_THRESHOLD)


def _release_freed_memory() -> None:
    """Let glibc return freed memory to the kernel; other allocators have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def max_memory(a: Memory | None, b: Memory | None) -> Memory | None:
    """Return the one with the higher peak; None without any."""
    return max((m for m in (a, b) if m), key=lambda memory: memory.peak_bytes or 0, default=None)


def add_memories(own: Memory, others: Sequence[Memory]) -> Memory:
    """Return the memory that processes need together where each has a device of its own.

    On a CPU they share one memory, so their peaks are added. A GPU has to have as much as the one that needs most.
    """
    if own.resident_bytes is None:
        return max([own, *others], key=lambda memory: memory.peak_bytes or 0)
    resident_bytes = sum(memory.resident_bytes or 0 for memory in (own, *others))
    return Memory(resident_bytes=resident_bytes, reset=all(memory.reset for memory in (own, *others)))

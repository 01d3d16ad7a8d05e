"""Which process this is, so that another one on the same machine can tell whether it still runs."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from pathlib import Path


@cache
def identify_machine() -> str:
    """Return 16 hex digits for this machine since it was started; another container on it has other ones.

    Two processes with equal digits see each other's process ids.
    """
    try:
        parts = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    except OSError:  # not Linux
        parts = [platform.node()]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def read_start(pid: int) -> int | None:
    """Return when a process of this machine started, in clock ticks; 0 where the system does not say, None if dead."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if status[0] in {"Z", "X"} else int(status[19])  # proc(5): fields 3 and 22
    except (OSError, ValueError, IndexError):
        if Path("/proc/self/stat").exists():
            return None
    import psutil

    return 0 if psutil.pid_exists(pid) else None


def has_ended(machine: str, pid: int, start: int) -> bool:
    """Return whether a process has certainly ended. Of a process on another machine this is never known."""
    return machine == identify_machine() and read_start(pid) != start

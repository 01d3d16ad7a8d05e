"""The memory and the disk space of this machine."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.system import accelerators

if TYPE_CHECKING:
    import torch

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def get_memory_bytes(device: torch.device) -> int:
    """Return the memory of a GPU. For the CPU, return the machine's memory or the lowest limit on it.

    Limits are those of the control group of this process, of all groups around it, such as the job of a scheduler or a
    container, and that on its address space.
    """
    if device.type in accelerators.KINDS:
        return accelerators.get_total_bytes(device)
    import psutil

    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = [] if address_space == resource.RLIM_INFINITY else [address_space]
    return min([int(psutil.virtual_memory().total), *limits, *_list_group_limits()])


def _list_group_limits() -> Iterator[int]:
    """Yield the memory limits of the control groups that this process is in."""
    for file in _list_limit_files():
        with contextlib.suppress(OSError, ValueError):  # "max" is no number and means no limit
            yield int(file.read_text())


def _list_limit_files() -> Iterator[Path]:
    """Yield the files of the limits, of cgroups v2 and v1, from the outermost group to that of this process."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        lines = []
    for line in ["0::/", "0:memory:/", *lines]:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = CONTROL_GROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CONTROL_GROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        yield from (folder / name for folder in (*reversed(group.parents), group) if folder.is_relative_to(root))


def get_free_disk_bytes(path: Path) -> int:
    """Return the free space on the disk of `path`, which need not exist yet."""
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""The memory and the disk space of this machine."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # cgroups v2 and v1


def get_memory_bytes(device: torch.device) -> int:
    """Return the memory of a GPU. For the CPU, return the machine's memory or the container's limit if it is lower."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    total = int(psutil.virtual_memory().total)
    for file in CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number and means no limit
            total = min(total, int(Path(file).read_text()))
    return total


def get_free_disk_bytes(path: Path) -> int:
    """Return the free space on the disk of `path`, which need not exist yet."""
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free

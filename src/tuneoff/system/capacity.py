"""What this machine has room for: memory and disk."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container, v2 and v1


def get_memory_bytes(device: torch.device) -> int:
    """The card's memory; on a CPU the machine's, or the container's where that is less."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    whole = int(psutil.virtual_memory().total)
    for file in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
            whole = min(whole, int(Path(file).read_text()))
    return whole


def get_free_disk_bytes(path: Path) -> int:
    """What is free where `path` is, or is to be."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free

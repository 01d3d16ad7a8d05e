"""The machine and the library versions of a run, and of an installation for an issue report.

None of it holds a secret or a user name.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from tuneoff.system.accelerators import list_names
from tuneoff.system.cache import get_cache_folder

PACKAGES = (
    "tuneoff",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "numpy",
    "scipy",
    "rouge-score-rs",
    "bitsandbytes",
)
KERNEL_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")  # of libraries
PACKAGES_THAT_DECIDE_NUMBERS = ("tuneoff", "torch", "transformers", "peft", "accelerate")


def describe_environment() -> dict[str, Any]:
    """Return the content of a run's `environment.json`."""
    import psutil
    import torch

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": get_processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": list_names(),
        "versions": {name: _get_version(name) for name in PACKAGES},
    }


def describe_installation() -> dict[str, Any]:
    """Return what an issue report needs: the environment, the platform, and how the cache and the hub are set up."""
    import torch

    environment = describe_environment()
    versions = environment.pop("versions")
    cache = get_cache_folder()
    return {
        "tuneoff": versions.pop("tuneoff"),
        **environment,
        "platform": platform.platform(),
        "cuda": torch.version.cuda,
        **versions,
        "cache": hide_user(cache),
        "cache_size_bytes": _measure_bytes(cache),
        "TUNEOFF_CACHE": "set" if os.environ.get("TUNEOFF_CACHE") else "not set",
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "not set"),
    }


def hide_user(path: Path) -> str:
    """Return a path with `~` for the home folder and `USER` for every folder that is named like the user."""
    home = Path.home()
    names = {home.name, os.environ.get("USER"), os.environ.get("LOGNAME")}
    if path.is_relative_to(home):
        path = Path("~") / path.relative_to(home)
    return str(Path(*("USER" if part in names else part for part in path.parts)))


def get_numeric_versions(*further: str) -> dict[str, str | None]:
    """Return the versions of the libraries that decide the numbers of a trial, and of further ones."""
    return {name: _get_version(name) for name in (*PACKAGES_THAT_DECIDE_NUMBERS, *further)}


def get_kernel_level() -> str:
    """Return the instruction sets that PyTorch's kernels on the CPU use, and what limits them.

    Other ones round differently, on the same processor too.
    """
    import torch

    limits = [f"{name}={os.environ[name]}" for name in KERNEL_LIMITS if os.environ.get(name)]
    return " ".join([torch.backends.cpu.get_cpu_capability(), *limits])


def get_processor_name() -> str:
    """Return the name of the processor as the kernel reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _get_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _measure_bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())

"""The machine and the versions that a run was made with. No user name, path or environment variable is in it."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("tuneoff", "torch", "transformers", "peft", "accelerate", "datasets", "numpy", "scipy", "rouge-score-rs")


def describe_environment() -> dict[str, Any]:
    """Plain values, for `environment.json`."""
    import psutil
    import torch

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": get_processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "versions": {name: _version(name) for name in PACKAGES},
    }


def get_numeric_versions() -> dict[str, str | None]:
    """The versions of the libraries that decide a trial's numbers."""
    return {name: _version(name) for name in ("tuneoff", "torch", "transformers", "peft", "accelerate")}


def get_processor_name() -> str:
    """The processor's own name, as the kernel gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

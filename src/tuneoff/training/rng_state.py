"""The random numbers that a training still has to draw: the state of every generator it could draw from."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor


def get_states(device: torch.device) -> dict[str, Tensor]:
    """torch's generator of the CPU and of the device, Python's and numpy's, by name."""
    version, words, normal = random.getstate()
    _, keys, position, has_normal, cached = np.random.get_state(legacy=True)
    found = {
        "cpu": torch.get_rng_state(),
        "python": torch.tensor([version, *words]),
        "python_normal": torch.tensor([] if normal is None else [normal], dtype=torch.float64),
        "numpy": torch.tensor([*map(int, keys), position, has_normal]),
        "numpy_normal": torch.tensor([cached], dtype=torch.float64),
    }
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found


def restore_states(found: dict[str, Tensor], device: torch.device) -> None:
    """Let every generator draw what it would have drawn after `states`."""
    version, *words = found["python"].tolist()
    normal = found["python_normal"].tolist()
    random.setstate((version, tuple(words), normal[0] if normal else None))
    *keys, position, has_normal = found["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_normal, found["numpy_normal"].item()))
    torch.set_rng_state(found["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(found["cuda"], device)

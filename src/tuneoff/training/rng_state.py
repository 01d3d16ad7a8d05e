"""The states of all random number generators that a training may draw from."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from tuneoff.system import accelerators


def get_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators for the CPU and the device, Python's and numpy's, by name."""
    version, words, normal = random.getstate()
    _, keys, position, has_normal, cached = np.random.get_state(legacy=True)
    states = {
        "cpu": torch.get_rng_state(),
        "python": torch.tensor([version, *words]),
        "python_normal": torch.tensor([] if normal is None else [normal], dtype=torch.float64),
        "numpy": torch.tensor([*map(int, keys), position, has_normal]),
        "numpy_normal": torch.tensor([cached], dtype=torch.float64),
    }
    if device.type in accelerators.KINDS:
        states[device.type] = accelerators.get_rng_state(device)
    return states


def restore_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Set every generator to the state that `get_states` returned."""
    version, *words = states["python"].tolist()
    normal = states["python_normal"].tolist()
    random.setstate((version, tuple(words), normal[0] if normal else None))
    *keys, position, has_normal = states["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_normal, states["numpy_normal"].item()))
    torch.set_rng_state(states["cpu"])
    if device.type in accelerators.KINDS:
        accelerators.set_rng_state(states[device.type], device)

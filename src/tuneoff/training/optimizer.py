"""The optimizer, the same for every method."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tuneoff.training.spec import TrainingSpec

ParameterGroups = Sequence[tuple[float, list[nn.Parameter]]]  # (multiple of the learning rate, its parameters)


def create_optimizer(groups: ParameterGroups, spec: TrainingSpec) -> torch.optim.Optimizer:
    """Return AdamW with one parameter group for each multiple of the learning rate."""
    options = [{"params": parameters, "lr": spec.learning_rate * multiple} for multiple, parameters in groups]
    # fused: one pass over memory per step; PyTorch has it for these two device types
    fused = all(p.device.type in {"cpu", "cuda"} for _, parameters in groups for p in parameters)
    return torch.optim.AdamW(options, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=fused)

"""The optimizer and the learning rate schedule, the same for every method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tuneoff.config.training import TrainingOptions
from tuneoff.training.spec import TrainingSpec

ParameterGroups = Sequence[tuple[float, list[nn.Parameter]]]  # (multiple of the learning rate, its parameters)


def create_optimizer(groups: ParameterGroups, spec: TrainingSpec) -> torch.optim.Optimizer:
    """Return AdamW with one parameter group for each multiple of the learning rate."""
    options = [{"params": parameters, "lr": spec.learning_rate * multiple} for multiple, parameters in groups]
    # fused: one pass over memory per step; PyTorch has it for these two device types
    fused = all(p.device.type in {"cpu", "cuda"} for _, parameters in groups for p in parameters)
    return torch.optim.AdamW(options, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=fused)


def create_schedule(
    optimizer: Any, options: TrainingOptions, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate schedule over all epochs. Any: accelerate's optimizer wraps torch's."""
    from transformers import get_scheduler

    total_steps = steps_per_epoch * options.epochs
    name = "constant_with_warmup" if options.schedule == "constant" else options.schedule
    warmup_steps = math.ceil(options.warmup * total_steps)
    schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=total_steps)
    multiplier = schedule.lr_lambdas[0]
    # transformers starts its warm-up at a rate of zero, which wastes the first step; ours starts one step further
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: multiplier(step + 1 if step < warmup_steps else step)
    )

"""A pass through the longest micro-batch before the first step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tuneoff.runtime.micro_batch import require_free_memory
from tuneoff.runtime.progress import Progress
from tuneoff.system.capacity import get_memory_bytes
from tuneoff.training.trainer import CPU, Trainer


def dry_run(trainer: Trainer) -> None:
    """Run the longest micro-batch forward and backward, and discard the gradients.

    Kernels and buffers that are built once then do not count as training. Activations that do not fit into memory fail
    here instead of an hour later, so this finds the largest micro-batch that fits. The optimizer's state is not in
    memory yet.
    """
    trainer.context.on_progress(Progress(phase="dry run"))
    longest = sorted(range(len(trainer.lengths)), key=lambda row: -trainer.lengths[row])
    with torch.random.fork_rng(), trainer.compile_blocks():
        trainer.model.train()
        trainer.micro_batch.run_until_it_fits(
            lambda size: _run_forward_and_backward(trainer, longest[:size]), undo=trainer.optimizer.zero_grad
        )
        if trainer.spec.options.compile:
            for rows in _list_warm_up_batches(longest, trainer.micro_batch.size):
                _run_forward_and_backward(trainer, rows)
        trainer.optimizer.zero_grad()


def _run_forward_and_backward(trainer: Trainer, rows: Sequence[int]) -> None:
    batch = trainer.make_batch(rows, CPU)
    with trainer.measure("dry_run"):  # restarts the memory peak, so it is of this attempt alone
        trainer.accumulate_everywhere(
            [batch.to(trainer.context.device)], [[batch]] * (trainer.devices.passes.devices - 1)
        )
        if trainer.context.device.type == "cpu":
            limit = trainer.spec.options.memory_limit or get_memory_bytes(trainer.context.device)
            missing_bytes = 0 if trainer.completed_steps else trainer.state_bytes
            require_free_memory(limit, missing_bytes + trainer.devices.passes.other_bytes)


def _list_warm_up_batches(longest: Sequence[int], size: int) -> list[list[int]]:
    """Return one batch of each kind that is compiled separately: one row, rows of equal length, rows with padding."""
    first, last = longest[0], longest[-1]
    return [[first], [first] * size, [first] * (size - 1) + [last]]

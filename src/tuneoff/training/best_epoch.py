"""The weights with the lowest validation loss so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tuneoff.training.checkpoint import Checkpoint


@dataclass
class BestEpoch:
    """A copy, on the CPU, of the weights with the lowest validation loss; epoch 0 means that there is none yet."""

    epoch: float = 0
    loss: float = math.inf
    weights: list[Tensor] = field(default_factory=list)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> BestEpoch:
        """Return the best epoch at a checkpoint, which stores its weights only where they are not the current ones."""
        if checkpoint.best_loss is None:
            return cls()
        weights = checkpoint.select_tensors("best") or checkpoint.select_tensors("trained")
        return cls(checkpoint.best_epoch, checkpoint.best_loss, [weights[str(i)] for i in range(len(weights))])

    def update(self, epoch: float, loss: float, read_weights: Callable[[], Sequence[Tensor]]) -> None:
        """Copy the weights if `loss` is the lowest so far."""
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.weights = [weight.to("cpu", copy=True) for weight in read_weights()]

    @torch.no_grad()
    def restore_weights(self, parameters: Sequence[nn.Parameter]) -> None:
        """Set the parameters to the best weights; without any, leave them as they are."""
        for parameter, weight in zip(parameters, self.weights, strict=False):  # no weights: no epoch was completed
            parameter.copy_(weight)

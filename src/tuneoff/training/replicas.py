"""The whole model on several devices: the process of the trial has the first, and each of its followers another one.

Every device computes the gradients of its share of a step. They are summed on the first device, which alone has the
optimizer; its new weights are copied to the others. So what a step is, what a checkpoint holds and what a method or an
optimizer may do are the same whatever the number of devices. To sum on one device and to copy from there moves as many
bytes as to sum on all of them, of which PyTorch's DistributedDataParallel consists.

With one device there are no followers, and nothing is exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from tuneoff.training.devices import State
from tuneoff.training.exchange import copy_from_first, sum_gradients
from tuneoff.training.gradients import list_missing
from tuneoff.training.passes import Passes

if TYPE_CHECKING:
    from accelerate import Accelerator


@final
class Replicas:
    """The copies of a model in training.

    Args:
        parameters: all that are ever trained, in the order of their groups.
    """

    def __init__(
        self,
        passes: Passes,
        parameters: Sequence[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
    ) -> None:
        self.passes, self._accelerator = passes, accelerator
        self._parameters, self._optimizer = parameters, optimizer

    def clip(self, limit: float | None) -> float:
        if self.passes.devices > 1:
            self._sum_gradients()
        if limit is not None:
            return float(self._accelerator.clip_grad_norm_(self._parameters, limit))
        return float(nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None]))

    def _sum_gradients(self) -> None:
        """Sum the gradients of all devices on this one. A parameter that has none anywhere has none afterwards."""
        trained = self.passes.trained
        missing = set(list_missing(trained)).intersection(*self.passes.missing)
        with self.passes.followers.exchanging("sum", {"missing": sorted(missing)}):
            sum_gradients([parameter for i, parameter in enumerate(trained) if i not in missing])

    def step(self) -> None:
        self._optimizer.step()
        self._copy_trained()

    def _copy_trained(self) -> None:
        if self.passes.devices > 1:
            with self.passes.followers.exchanging("copy", {"all": False}):
                copy_from_first(self.passes.trained)

    def read_weights(self) -> Sequence[Tensor]:
        return [parameter.detach() for parameter in self._parameters]

    @torch.no_grad()
    def write_weights(self, weights: Sequence[Tensor]) -> None:
        for parameter, weight in zip(self._parameters, weights, strict=True):
            parameter.copy_(weight)
        self._copy_trained()

    def read_optimizer(self) -> State:
        return self._optimizer.state_dict()

    def write_optimizer(self, state: State) -> None:
        self._optimizer.load_state_dict(state)

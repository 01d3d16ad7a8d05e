"""A model that is divided among several devices, for trainings that are larger than one of them.

Weights, gradients and the optimizer's state are in parts. The whole model stays on the CPU of the first device: it is
what an adapter is written from and what is evaluated after the training. Checkpoints are written from the parts, put
together, and are those of one device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from tuneoff.training.devices import State
from tuneoff.training.passes import Passes
from tuneoff.training.sharding import collect, collect_state, list_places, spread, spread_state, sum_squares, take_step

CLIP_EPSILON = 1e-6  # as in PyTorch's clip_grad_norm_


@final
class Shards:
    """The parts of a model in training.

    Args:
        parameters: the trained ones, in the order of their groups, of which this process holds a part.
    """

    def __init__(self, passes: Passes, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        self.passes, self._parameters, self._optimizer = passes, parameters, optimizer
        self._factor = 1.0  # of the gradients in the next step

    def clip(self, limit: float | None) -> float:
        others = [answer["squares"] for answer in self.passes.followers.ask("squares")]
        norm = math.sqrt(sum_squares(self._parameters) + sum(others))
        self._factor = 1.0 if limit is None else min(1.0, limit / (norm + CLIP_EPSILON))
        return norm

    def step(self) -> None:
        rates = [group["lr"] for group in self._optimizer.param_groups]
        self.passes.followers.send("step", {"rates": rates, "factor": self._factor})
        take_step(self._optimizer, rates, self._factor)
        self.passes.followers.receive()

    def read_weights(self) -> Sequence[Tensor]:
        with self.passes.followers.exchanging("read_weights"):
            return collect(self._parameters)

    def write_weights(self, weights: Sequence[Tensor]) -> None:
        with self.passes.followers.exchanging("write_weights"):
            spread(weights, self._parameters)

    def read_optimizer(self) -> State:
        with self.passes.followers.exchanging("read_optimizer"):
            return collect_state(self._optimizer)

    def write_optimizer(self, state: State) -> None:
        places = list_places(state["state"])
        numbers = [
            (number, key, float(value))
            for number, values in state["state"].items()
            for key, value in values.items()
            if (number, key) not in set(places)
        ]
        wholes = [state["state"][number][key] for number, key in places]
        with self.passes.followers.exchanging("write_optimizer", {"places": places, "numbers": numbers}):
            spread_state(self._optimizer, wholes, places, numbers, state["param_groups"])

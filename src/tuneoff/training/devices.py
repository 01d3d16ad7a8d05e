"""What the devices of a training do together, however the model is divided among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from tuneoff.training.passes import Passes

State = dict[str, Any]  # of an optimizer, as its own `state_dict`


class Devices(Protocol):
    """The devices of a training, as the first one sees them."""

    passes: Passes

    def clip(self, limit: float | None) -> float:
        """Sum the gradients over all devices, and clip them if there is a limit; return the norm of all before that."""

    def step(self) -> None:
        """Take a step of the optimizer with the gradients and the rates of its groups, and share its result."""

    def read_weights(self) -> Sequence[Tensor]:
        """Return the trained weights, whole. They may change with the next step."""

    def write_weights(self, weights: Sequence[Tensor]) -> None:
        """Give the trained weights other values, on all devices."""

    def read_optimizer(self) -> State:
        """Return the state of the optimizer, with whole tensors."""

    def write_optimizer(self, state: State) -> None:
        """Give the optimizer another state, on all devices."""

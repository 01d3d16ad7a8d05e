"""Several of PyTorch's optimizers that act as one, each with parameters of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch


@final
class Combined(torch.optim.Optimizer):
    """Optimizers in a row. A state of one of them has its place in the row before its own key: `0.12`."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        # Not PyTorch's own: groups and state stay where they are, in the parts.
        self.parts = parts
        self.defaults: dict[str, Any] = {}

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]  # an attribute in PyTorch
        """The parameter groups of all parts, the same objects."""
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Any, Any]:  # type: ignore[override]  # an attribute in PyTorch
        """The states of all parameters."""
        return {parameter: state for part in self.parts for parameter, state in part.state.items()}

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Let every part take its step."""
        assert closure is None, "the gradients are there already"
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parts."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the states and groups of all parts."""
        states = [part.state_dict() for part in self.parts]
        return {
            "state": {f"{i}.{key}": value for i, state in enumerate(states) for key, value in state["state"].items()},
            "param_groups": [group for state in states for group in state["param_groups"]],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give every part its states and groups back."""
        groups = iter(state_dict["param_groups"])
        for i, part in enumerate(self.parts):
            own = {
                int(key.partition(".")[2]): value
                for key, value in state_dict["state"].items()
                if key.startswith(f"{i}.")
            }
            part.load_state_dict({"state": own, "param_groups": [next(groups) for _ in part.param_groups]})

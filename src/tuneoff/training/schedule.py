"""The learning rate of each step, the same share of its highest value for every method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A warm-up, and then a constant or falling learning rate, as a pure function of the step.

    No step has a rate of zero: the warm-up begins one notch above it, and the rate would reach zero one step after the
    last.

    Args:
        warmup: the share of the steps in which the rate rises, rounded up to a whole step.
    """

    kind: Literal["constant", "linear", "cosine"]
    warmup: float
    total_steps: int

    def compute_factor(self, step: int) -> float:
        """The learning rate of a step as a share of the highest one, in (0, 1].

        Args:
            step: from 0 to `total_steps - 1`.
        """
        warmup_steps = math.ceil(self.warmup * self.total_steps)
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        falling_steps = self.total_steps - warmup_steps
        match self.kind:
            case "constant":
                return 1.0
            case "linear":
                return (self.total_steps - step) / falling_steps
            case "cosine":
                return 0.5 * (1.0 + math.cos(math.pi * ((step - warmup_steps) / falling_steps)))

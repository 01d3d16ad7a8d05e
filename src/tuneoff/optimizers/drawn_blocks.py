"""AdamW on blocks that are drawn anew every few steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from tuneoff.optimizers.adamw import can_fuse
from tuneoff.optimizers.optimizer import Group

STEPS, SEED = "drawn_blocks_steps", "drawn_blocks_seed"  # options of the first group, so that a checkpoint has them


@dataclass(frozen=True)
class Draw:
    """How many blocks are trained at a time, and for how many steps."""

    blocks: int
    steps: int


@final
class DrawnBlocks(torch.optim.AdamW):
    """Train a few of the blocks, and what is outside of them; the other blocks need no gradient until others are drawn.

    Which blocks those are is a function of the seed and the number of steps alone. The state of a block that is not
    trained is dropped.

    Args:
        groups: all that is ever trained.
        blocks: the blocks of the model.
    """

    def __init__(self, groups: list[Group], blocks: Sequence[nn.Module], draw: Draw, seed: int) -> None:
        super().__init__(groups, fused=can_fuse(groups))
        self._blocks, self._draw = blocks, draw
        self.param_groups[0] |= {STEPS: 0, SEED: seed}
        self._train_drawn_blocks()

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step, and draw other blocks if it is time."""
        assert closure is None, "the gradients are there already"
        super().step()
        self.param_groups[0][STEPS] += 1
        if self.param_groups[0][STEPS] % self._draw.steps == 0:
            self._train_drawn_blocks()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the states of a checkpoint, and train the blocks that were trained at its step."""
        super().load_state_dict(state_dict)
        self._train_drawn_blocks()

    def _train_drawn_blocks(self) -> None:
        options = self.param_groups[0]
        generator = random.Random(f"{options[SEED]}, {options[STEPS] // self._draw.steps}")
        drawn = {p for block in generator.sample(self._blocks, self._draw.blocks) for p in block.parameters()}
        for parameter in {p for block in self._blocks for p in block.parameters()}:
            parameter.requires_grad_(parameter in drawn)
            if parameter not in drawn:
                parameter.grad = None
                self.state.pop(parameter, None)

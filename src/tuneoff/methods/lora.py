"""LoRA: low-rank updates of frozen weights. Source: Hu et al. 2021, arXiv:2106.09685, through peft."""

from __future__ import annotations

from typing import ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE, LowRank
from tuneoff.methods.method import Rate


@final
class LoRA(LowRank):
    """Train low-rank updates, which start at zero and can be merged into the weights.

    About ten times the learning rate of full tuning is best at any rank, and adapting all linear layers is better than
    adapting attention alone (Schulman et al. 2025, "LoRA Without Regret"). A small model needs 5e-4, a large one 2e-4.
    """

    name: ClassVar[str] = "lora"
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHARED_SPACE}
    learning_rate: Rate = 5e-4

"""LoRA: low-rank updates beside frozen weights. Source: Hu et al. 2021, arXiv:2106.09685, through peft."""

from __future__ import annotations

from typing import ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHAPES, LowRank
from tuneoff.methods.method import Rate


@final
class LoRA(LowRank):
    """Low-rank updates, zero at first, that merge into the weights they adapt.

    About ten times full tuning's rate is best at any rank, and all linear layers beat attention alone
    (Schulman et al. 2025, "LoRA Without Regret"). A small model wants 5e-4, a large one 2e-4.
    """

    name: ClassVar[str] = "lora"
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHAPES}
    learning_rate: Rate = 5e-4

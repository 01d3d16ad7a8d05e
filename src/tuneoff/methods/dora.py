"""DoRA: LoRA that tunes direction and magnitude apart. Source: Liu et al. 2024, arXiv:2402.09353, through peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHAPES, LowRank
from tuneoff.methods.method import Rate


@final
class DoRA(LowRank):
    """LoRA on the direction of each weight, with its magnitude trained beside it.

    Slower than LoRA, since each forward pass takes the norm of the updated weight. Merges all the same.
    """

    name: ClassVar[str] = "dora"
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHAPES}
    variant: ClassVar[Mapping[str, Any]] = {"use_dora": True}
    learning_rate: Rate = 2e-4

"""DoRA: LoRA with separate direction and magnitude. Source: Liu et al. 2024, arXiv:2402.09353, through peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE, LowRank
from tuneoff.methods.method import Rate


@final
class DoRA(LowRank):
    """LoRA on the direction of each weight, with a trained magnitude.

    Slower than LoRA, since each forward pass computes the norm of the updated weight. It can be merged like LoRA.
    """

    name: ClassVar[str] = "dora"
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHARED_SPACE}
    adapts_experts: ClassVar[bool] = False
    variant: ClassVar[Mapping[str, Any]] = {"use_dora": True}
    learning_rate: Rate = 2e-4

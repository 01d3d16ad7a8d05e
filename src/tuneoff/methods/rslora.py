"""rsLoRA: LoRA scaled by the root of the rank. Source: Kalajdzievski 2023, arXiv:2312.03732, through peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHAPES, LowRank
from tuneoff.methods.method import Rate


@final
class RSLoRA(LowRank):
    """LoRA scaled by alpha / sqrt(rank), so that a larger rank does not learn more slowly.

    At rank 8 the same alpha is a step almost three times LoRA's; so the rates are LoRA's by a third, or a higher
    score would be the larger step's and not the method's.
    """

    name: ClassVar[str] = "rslora"
    space: ClassVar[Space] = {"learning_rate": Range(low=7e-6, high=1e-3), **SHAPES}
    variant: ClassVar[Mapping[str, Any]] = {"use_rslora": True}
    learning_rate: Rate = 2e-4

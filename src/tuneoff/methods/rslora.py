"""rsLoRA: LoRA scaled by the square root of the rank. Source: Kalajdzievski 2023, arXiv:2312.03732, through peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE, LowRank
from tuneoff.methods.method import Rate


@final
class RSLoRA(LowRank):
    """LoRA scaled by alpha / sqrt(rank), so that a higher rank does not learn more slowly.

    At rank 8 the same alpha makes steps almost three times as large as LoRA's. The learning rates are therefore about a
    third of LoRA's; otherwise a higher score could be due to the larger steps.
    """

    name: ClassVar[str] = "rslora"
    space: ClassVar[Space] = {"learning_rate": Range(low=7e-6, high=1e-3), **SHARED_SPACE}
    variant: ClassVar[Mapping[str, Any]] = {"use_rslora": True}
    learning_rate: Rate = 2e-4

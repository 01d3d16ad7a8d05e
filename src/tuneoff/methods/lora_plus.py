"""LoRA+: LoRA with a higher learning rate for matrix B. Source: Hayou et al. 2024, arXiv:2402.12354, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE, LowRank
from tuneoff.methods.method import Rate

if TYPE_CHECKING:
    from torch import nn

    from tuneoff.models.language_model import LanguageModel


@final
class LoRAPlus(LowRank):
    """LoRA with two learning rates: that of matrix B, which starts at zero, is `ratio` times that of matrix A.

    The paper recommends a ratio of 16, and for A about half of LoRA's learning rate.
    """

    name: ClassVar[str] = "lora-plus"
    space: ClassVar[Space] = {
        "learning_rate": Range(low=1e-5, high=1.5e-3),
        "ratio": (4.0, 8.0, 16.0, 32.0),
        **SHARED_SPACE,
    }
    learning_rate: Rate = 2.5e-4
    ratio: float = Field(16.0, ge=1)
    """Learning rate of matrix B divided by that of matrix A."""

    def parameter_groups(self, tuned: LanguageModel) -> list[tuple[float, list[nn.Parameter]]]:
        trained = [(name, p) for name, p in tuned.named_parameters() if p.requires_grad]
        return [
            (1.0, [p for name, p in trained if "lora_B" not in name]),
            (self.ratio, [p for name, p in trained if "lora_B" in name]),
        ]

"""LoRA-FA: LoRA with frozen matrices A. Source: Zhang et al. 2023, arXiv:2308.03303, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE, LowRank
from tuneoff.methods.method import Rate
from tuneoff.optimizers import OptimizerName

if TYPE_CHECKING:
    from tuneoff.models.language_model import LanguageModel


@final
class LoRAFA(LowRank):
    """LoRA that trains only the matrices B, with an optimizer of its own; the matrices A stay random.

    A layer then keeps its input projected to the rank, and not the input itself, for the backward pass, so less memory
    is needed for activations. The learning rates are LoRA's, as peft's documentation recommends. Experts that are held
    as one parameter are left out, since the optimizer knows only matrices.
    """

    name: ClassVar[str] = "lora-fa"
    optimizers: ClassVar[frozenset[OptimizerName]] = frozenset({"lora-fa"})
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHARED_SPACE}
    adapts_experts: ClassVar[bool] = False
    optimizer: OptimizerName = Field("lora-fa", exclude=True)
    """Always its own."""
    learning_rate: Rate = 5e-4

    def apply(self, base: LanguageModel) -> LanguageModel:
        tuned = super().apply(base)
        for name, parameter in tuned.network.named_parameters():
            if "lora_A" in name:
                parameter.requires_grad_(False)
        return tuned

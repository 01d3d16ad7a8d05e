"""OLoRA: LoRA from an orthonormal basis. Source: Büyükakyüz 2024, arXiv:2406.01775, through peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE
from tuneoff.methods.method import Rate
from tuneoff.methods.subtracted import Subtracted

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class OLoRA(Subtracted):
    """LoRA whose matrices start as a part of the weight's QR decomposition, which is subtracted from the weight.

    The columns of B are orthonormal at first. Training starts at the base model up to rounding, and the saved adapter
    is a plain LoRA of twice the rank, as PiSSA's. peft's example trains at 3e-4, in the middle of LoRA's learning
    rates.
    """

    name: ClassVar[str] = "olora"
    space: ClassVar[Space] = {"learning_rate": Range(low=2e-5, high=3e-3), **SHARED_SPACE}
    variant: ClassVar[Mapping[str, Any]] = {"init_lora_weights": "olora"}
    learning_rate: Rate = 3e-4

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from transformers.pytorch_utils import Conv1D

        if any(isinstance(module, Conv1D) for module in base.base.modules()):
            raise ValueError(
                "peft decomposes the transposed weights of this model the wrong way for OLoRA: write pissa"
            )
        return super().make_config(base)

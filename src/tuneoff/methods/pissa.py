"""PiSSA: LoRA on the largest part of each weight. Source: Meng et al. 2024, arXiv:2404.02948, through peft."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHAPES, LowRank
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import get_adapter_state, write_adapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class PiSSA(LowRank):
    """LoRA whose matrices start as the largest singular vectors of the weight, which keeps only the rest.

    Starts as the base model up to rounding. The start is steep, so the rates are far below LoRA's. What is saved is
    a plain LoRA of twice the rank for the model as it came: a weight that lost its largest part is in nobody's hands.
    """

    name: ClassVar[str] = "pissa"
    space: ClassVar[Space] = {"learning_rate": Range(low=5e-6, high=5e-4), **SHAPES}
    variant: ClassVar[Mapping[str, Any]] = {"init_lora_weights": "pissa_niter_16"}  # 16 iterations, not a whole SVD
    learning_rate: Rate = 5e-5

    def make_config(self, base: LanguageModel) -> PeftConfig:
        config = super().make_config(base)
        if base.network.device.type == "meta":
            config.init_lora_weights = True  # a model's outline has no weights to take apart
        return config

    def apply(self, base: LanguageModel) -> LanguageModel:
        tuned = super().apply(base)
        tuned.network.started_with = {name: tensor.clone() for name, tensor in get_adapter_state(tuned).items()}
        return tuned

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        """The update is `B A - B0 A0`: one product of matrices that are twice as wide."""
        import torch

        whole = {}
        for name, now in get_adapter_state(tuned).items():
            start = tuned.network.started_with[name].to(now)
            whole[name] = torch.cat([now, start] if "lora_A" in name else [now, -start], dim=int("lora_B" in name))
        config = copy.deepcopy(tuned.network.active_peft_config)
        config.r, config.lora_alpha, config.init_lora_weights = 2 * config.r, 2 * config.lora_alpha, True
        write_adapter(whole, config, folder)

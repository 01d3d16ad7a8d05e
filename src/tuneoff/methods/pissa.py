"""PiSSA: LoRA from the largest singular values. Source: Meng et al. 2024, arXiv:2404.02948, through peft."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from tuneoff.config.search_space import Range, Space
from tuneoff.methods.low_rank import SHARED_SPACE, LowRank
from tuneoff.methods.method import Rate
from tuneoff.methods.peft_adapter import get_adapter_state, write_adapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


@final
class PiSSA(LowRank):
    """LoRA whose matrices start as the largest singular vectors of the weight, which are subtracted from the weight.

    Training starts at the base model up to rounding. The first gradients are large, so the learning rates are far below
    LoRA's. The saved adapter is a plain LoRA of twice the rank for the original base model, since nobody else has the
    weights without their largest singular vectors.
    """

    name: ClassVar[str] = "pissa"
    space: ClassVar[Space] = {"learning_rate": Range(low=5e-6, high=5e-4), **SHARED_SPACE}
    adapts_experts: ClassVar[bool] = False
    adapts_thin_layers: ClassVar[bool] = False
    variant: ClassVar[Mapping[str, Any]] = {"init_lora_weights": "pissa_niter_16"}  # approximate SVD, 16 iterations
    learning_rate: Rate = 5e-5

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from tuneoff.models.quantisation import list_quantised

        if list_quantised(base.network):
            raise ValueError("PiSSA takes a part out of each weight, and codes of a few bits cannot hold what is left")
        config = super().make_config(base)
        if base.network.device.type == "meta":
            config.init_lora_weights = True  # a model without weights has no singular vectors
        return config

    def apply(self, base: LanguageModel) -> LanguageModel:
        tuned = super().apply(base)
        tuned.network.initial_adapter = {name: tensor.clone() for name, tensor in get_adapter_state(tuned).items()}
        return tuned

    def save(self, tuned: LanguageModel, folder: Path) -> None:
        """Write the update `B A - B0 A0` as a single product of matrices of twice the rank."""
        import torch

        state = {}
        for name, trained in get_adapter_state(tuned).items():
            initial = tuned.network.initial_adapter[name].to(trained)
            if "lora_A" in name:
                state[name] = torch.cat([trained, initial], dim=0)
            else:
                state[name] = torch.cat([trained, -initial], dim=1)
        config = copy.deepcopy(tuned.network.active_peft_config)
        config.r, config.lora_alpha, config.init_lora_weights = 2 * config.r, 2 * config.lora_alpha, True
        write_adapter(state, config, folder)

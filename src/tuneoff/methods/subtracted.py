"""What PiSSA, OLoRA and CorDA share: the update starts as a part of the weight, which is subtracted from the weight."""

from __future__ import annotations

import copy
from abc import ABC
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tuneoff.methods.low_rank import LowRank
from tuneoff.methods.peft_adapter import get_adapter_state, write_adapter

if TYPE_CHECKING:
    from peft import PeftConfig

    from tuneoff.models.language_model import LanguageModel


class Subtracted(LowRank, ABC):
    """Training starts at the base model up to rounding. What is saved fits the original base model."""

    adapts_experts: ClassVar[bool] = False
    adapts_thin_layers: ClassVar[bool] = False

    def make_config(self, base: LanguageModel) -> PeftConfig:
        from tuneoff.models.quantisation import list_quantised

        if list_quantised(base.network):
            raise ValueError(
                f"{self.name} takes a part out of each weight, and codes of a few bits cannot hold what is left"
            )
        config = super().make_config(base)
        if base.network.device.type == "meta":
            config.init_lora_weights = True  # a model without weights has no parts
        return config

    def apply(self, base: LanguageModel) -> LanguageModel:
        tuned = super().apply(base)
        remember_start(tuned)
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


def remember_start(tuned: LanguageModel) -> None:
    """Keep the update as it is now: the base model's weights are those without it."""
    tuned.network.initial_adapter = {name: tensor.clone() for name, tensor in get_adapter_state(tuned).items()}

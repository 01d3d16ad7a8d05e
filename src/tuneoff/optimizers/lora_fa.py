"""LoRA-FA's optimizer: AdamW on another gradient of B. Source: Zhang et al. 2023, arXiv:2308.03303, through peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.adamw import count_adamw_bytes
from tuneoff.optimizers.optimizer import Group, Optimizer, OptimizerName, list_trained

if TYPE_CHECKING:
    import torch

    from tuneoff.models.language_model import LanguageModel


@final
class LoRAFA(Optimizer):
    """8 bytes for each element of the matrices B of LoRA, whose matrices A stay as they are.

    The gradient of B is multiplied by the inverse of A Aᵀ, so that the update of the weight is as near as possible to
    that of full tuning. peft takes the learning rates of AdamW.
    """

    name: ClassVar[OptimizerName] = "lora-fa"

    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        from peft.optimizers import create_lorafa_optimizer

        (group,) = groups
        config = model.network.active_peft_config
        of_peft: torch.optim.Optimizer = create_lorafa_optimizer(
            model.network, config.r, config.lora_alpha, group["lr"], group["weight_decay"]
        )
        return of_peft

    def count_state_bytes(self, model: LanguageModel) -> float:
        return sum(count_adamw_bytes(parameter) for parameter in list_trained(model))

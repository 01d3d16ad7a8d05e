"""AdamW: two moments of each gradient. Source: Loshchilov and Hutter 2019, arXiv:1711.05101, through PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.optimizer import FLOAT_BYTES, Group, Optimizer, OptimizerName, list_trained

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tuneoff.models.language_model import LanguageModel


@final
class AdamW(Optimizer):
    """8 bytes for each trained parameter. The learning rates of all methods are meant for it."""

    name: ClassVar[OptimizerName] = "adamw"
    by_element: ClassVar[bool] = True

    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        return create_adamw(groups)

    def count_state_bytes(self, model: LanguageModel) -> float:
        return sum(count_adamw_bytes(parameter) for parameter in list_trained(model))


def create_adamw(groups: list[Group]) -> torch.optim.Optimizer:
    """Return PyTorch's AdamW, fused where PyTorch has that: one pass over memory per step."""
    import torch

    return torch.optim.AdamW(groups, fused=can_fuse(groups))


def can_fuse(groups: list[Group]) -> bool:
    """Return whether PyTorch can update these parameters in one pass."""
    return all(p.device.type in {"cpu", "cuda"} for group in groups for p in group["params"])


def count_adamw_bytes(parameter: Tensor) -> float:
    """Return the bytes of AdamW's two moments of a parameter."""
    return 2 * FLOAT_BYTES * parameter.numel()

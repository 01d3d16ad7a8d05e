"""Lion: steps by the sign of a momentum. Source: Chen et al. 2023, arXiv:2302.06675, through pytorch-optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.optimizer import FLOAT_BYTES, Group, Optimizer, OptimizerName, list_trained

if TYPE_CHECKING:
    import torch

    from tuneoff.models.language_model import LanguageModel


@final
class Lion(Optimizer):
    """4 bytes for each trained parameter. Every element moves by the learning rate, in one direction or the other.

    The paper recommends learning rates 3 to 10 times below AdamW's, and a weight decay that is higher by as much.
    """

    name: ClassVar[OptimizerName] = "lion"
    scale: ClassVar[Mapping[str, float]] = {"learning_rate": 0.1, "weight_decay": 10.0}
    package: ClassVar[str | None] = "pytorch_optimizer"

    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        from pytorch_optimizer import Lion as OfPytorchOptimizer

        of_pytorch_optimizer: torch.optim.Optimizer
        # One tensor after the other: at once, the updates of all tensors would take as much memory as the state.
        of_pytorch_optimizer = OfPytorchOptimizer(groups, foreach=False)
        return of_pytorch_optimizer

    def count_state_bytes(self, model: LanguageModel) -> float:
        return sum(FLOAT_BYTES * parameter.numel() for parameter in list_trained(model))

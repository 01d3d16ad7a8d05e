"""What the optimizers share that are for the hidden matrices of a model alone: AdamW updates everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tuneoff.optimizers.adamw import count_adamw_bytes, create_adamw
from tuneoff.optimizers.optimizer import Group, Optimizer, list_trained

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tuneoff.models.language_model import LanguageModel


class ForMatrices(Optimizer, ABC):
    """Update the weights of the linear layers inside the blocks; embeddings, head, norms and biases are AdamW's."""

    @abstractmethod
    def create_for_matrices(self, groups: list[Group]) -> torch.optim.Optimizer:
        """Return what updates the hidden matrices."""

    @abstractmethod
    def count_matrix_bytes(self, matrix: Tensor) -> float:
        """Return the bytes that it keeps for a hidden matrix."""

    def _create(self, model: LanguageModel, groups: list[Group]) -> torch.optim.Optimizer:
        from tuneoff.optimizers.combined import Combined

        hidden = _find_hidden_matrices(model)
        matrices = _select(groups, hidden, inside=True)
        others = _select(groups, hidden, inside=False)
        if not matrices:
            raise ValueError(
                f"its optimizer {self.name} is for the weights of linear layers inside the blocks, and it trains none "
                "of them: write another optimizer, such as adafactor"
            )
        first = self.create_for_matrices(matrices)
        return Combined(first, create_adamw(others)) if others else first

    def count_state_bytes(self, model: LanguageModel) -> float:
        hidden = _find_hidden_matrices(model)
        return sum(self.count_matrix_bytes(p) if id(p) in hidden else count_adamw_bytes(p) for p in list_trained(model))


def _find_hidden_matrices(model: LanguageModel) -> set[int]:
    """Return the ids of the weights of linear layers inside the blocks."""
    from tuneoff.models.structure import find_linears

    return {id(linear.weight) for linear in find_linears(model.base).values()}


def _select(groups: list[Group], hidden: set[int], *, inside: bool) -> list[Group]:
    """Return the groups with only those of their parameters that are hidden matrices, or only the others."""
    selected = [{**group, "params": [p for p in group["params"] if (id(p) in hidden) is inside]} for group in groups]
    return [group for group in selected if group["params"]]

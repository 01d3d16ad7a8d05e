"""Muon: orthogonal steps. Source: Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982, through PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.for_matrices import ForMatrices
from tuneoff.optimizers.optimizer import FLOAT_BYTES, Group, OptimizerName

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@final
class Muon(ForMatrices):
    """4 bytes for each element of a hidden matrix, and AdamW's 8 for embeddings, head, norms and biases.

    The momentum of a hidden matrix is made orthogonal, and scaled so that the root mean square of an update is
    AdamW's. So the learning rates of both are AdamW's (Liu et al., section 2.2).
    """

    name: ClassVar[OptimizerName] = "muon"

    def create_for_matrices(self, groups: list[Group]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw")

    def count_matrix_bytes(self, matrix: Tensor) -> float:
        return FLOAT_BYTES * matrix.numel()

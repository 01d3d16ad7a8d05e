"""APOLLO: AdamW's scale, found on a projection of the gradient. Source: Zhu et al. 2024, arXiv:2412.05270."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.for_matrices import ForMatrices
from tuneoff.optimizers.optimizer import FLOAT_BYTES, Group, OptimizerName

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@final
class Apollo(ForMatrices):
    """2 bytes for each element of a square hidden matrix, and AdamW's 8 for embeddings, head, norms and biases.

    AdamW's moments are kept of a random projection of the gradient to a quarter of the matrix' smaller side. They give
    the length of each channel's step; its direction is the gradient's. A step is at most about as long as AdamW's, and
    the learning rates are AdamW's. It is written after the paper: the authors' package is not for commercial use, and
    the one in pytorch-optimizer 4.1 moves weights only inside of the projection.
    """

    name: ClassVar[OptimizerName] = "apollo"

    def create_for_matrices(self, groups: list[Group]) -> torch.optim.Optimizer:
        import torch

        from tuneoff.optimizers.projected_moments import ProjectedMoments

        return ProjectedMoments(groups, torch.initial_seed())

    def count_matrix_bytes(self, matrix: Tensor) -> float:
        from tuneoff.optimizers.projected_moments import choose_rank

        return 2 * FLOAT_BYTES * choose_rank(matrix) * max(matrix.shape)

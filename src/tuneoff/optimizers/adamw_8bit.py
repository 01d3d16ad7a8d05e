"""AdamW with both moments in 8 bits. Source: Dettmers et al. 2022, arXiv:2110.02861, through bitsandbytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.adamw import count_adamw_bytes
from tuneoff.optimizers.for_matrices import ForMatrices
from tuneoff.optimizers.optimizer import FLOAT_BYTES, Group, OptimizerName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SMALLEST = 4096  # elements of a tensor whose moments are held in 8 bits
BLOCK = 256  # elements that share a scale


@final
class AdamW8bit(ForMatrices):
    """2 bytes for each element of a hidden matrix, and AdamW's 8 for embeddings, head, norms and biases.

    The paper keeps the moments of embeddings in 32 bits, since training is unstable otherwise. The learning rates are
    AdamW's.
    """

    name: ClassVar[OptimizerName] = "adamw-8bit"
    package: ClassVar[str | None] = "bitsandbytes"

    def create_for_matrices(self, groups: list[Group]) -> torch.optim.Optimizer:
        from bitsandbytes.optim import AdamW8bit as OfBitsandbytes

        of_bitsandbytes: torch.optim.Optimizer = OfBitsandbytes(groups)
        return of_bitsandbytes

    def count_matrix_bytes(self, matrix: Tensor) -> float:
        if matrix.numel() < SMALLEST:
            return count_adamw_bytes(matrix)
        return 2 * matrix.numel() * (1 + FLOAT_BYTES / BLOCK)

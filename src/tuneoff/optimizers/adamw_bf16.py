"""AdamW on weights in bf16, rounded at random. Source: Zamirai et al. 2020, arXiv:2010.06192; own code, on PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from tuneoff.optimizers.for_matrices import ForMatrices
from tuneoff.optimizers.optimizer import BF16_BYTES, Group, OptimizerName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tuneoff.models.language_model import LanguageModel


@final
class AdamWBf16(ForMatrices):
    """2 bytes for each of a hidden matrix's weights, gradients and two moments: 8 where AdamW has 16.

    Embeddings, head, norms and biases are AdamW's, in float32. A step computes in float32. Weights and second moments
    are rounded up or down at random, so that they are right on average: rounded to the nearest, small updates would be
    lost, and a second moment would hardly fall. Gradients that accumulate over several forward passes are added in
    bf16. The learning rates are AdamW's. It needs matrix products in bf16.
    """

    name: ClassVar[OptimizerName] = "adamw-bf16"
    needs_bf16: ClassVar[bool] = True

    def hold(self, model: LanguageModel) -> None:
        import torch

        from tuneoff.models.structure import find_linears

        for linear in find_linears(model.base).values():
            if linear.weight.requires_grad:
                linear.weight.data = linear.weight.data.to(torch.bfloat16)

    def create_for_matrices(self, groups: list[Group]) -> torch.optim.Optimizer:
        from tuneoff.optimizers.rounded_adamw import RoundedAdamW

        return RoundedAdamW(groups)

    def count_matrix_bytes(self, matrix: Tensor) -> float:
        return 2 * BF16_BYTES * matrix.numel()

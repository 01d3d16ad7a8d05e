"""Cross-entropy of large logits, a few rows at a time.

PyTorch's own function converts all logits to float32, keeps all log-probabilities for the backward pass, and makes
gradients in float32: several times the memory of the logits themselves. Its `linear_cross_entropy` avoids that, but not
for a head that is followed by something else, and on a CPU it multiplies in float32.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

AT_ONCE = 2**20  # logits, on a CPU: 4 MB in float32, which stay in its cache
AT_ONCE_ON_CARD = 2**26  # logits: 256 MB; fewer would be many small kernels


def cross_entropy(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """The nats of each target, (N,), computed and returned in float32, whatever the logits are held in."""
    return cast(Tensor, _CrossEntropy.apply(logits_NV, targets_N))  # type: ignore[no-untyped-call]  # torch's own is not typed


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor) -> Tensor:  # Any: as torch has it
        ctx.save_for_backward(logits_NV, targets_N)
        nats_N = torch.empty(len(logits_NV), device=logits_NV.device)
        for rows in _slice_rows(logits_NV):
            logs_PV = logits_NV[rows].log_softmax(dim=1, dtype=torch.float32)
            nats_N[rows] = -logs_PV.gather(1, targets_N[rows, None])[:, 0]
        return nats_N

    @staticmethod
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor, None]:
        logits_NV, targets_N = ctx.saved_tensors
        grad_NV = torch.empty_like(logits_NV)
        for rows in _slice_rows(logits_NV):
            grad_PV = logits_NV[rows].softmax(dim=1, dtype=torch.float32)
            grad_PV[torch.arange(len(grad_PV), device=grad_PV.device), targets_N[rows]] -= 1
            grad_NV[rows] = grad_PV.mul_(grad_N[rows, None])
        return grad_NV, None


def _slice_rows(logits_NV: Tensor) -> list[slice]:
    at_once = AT_ONCE if logits_NV.device.type == "cpu" else AT_ONCE_ON_CARD
    rows = max(1, at_once // logits_NV.shape[1])
    return [slice(start, start + rows) for start in range(0, len(logits_NV), rows)]

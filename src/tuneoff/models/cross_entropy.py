"""Cross-entropy of large logits, a few rows at a time.

PyTorch's own function converts all logits to float32, keeps all log-probabilities for the backward pass, and computes
gradients in float32: several times the memory of the logits. Its `linear_cross_entropy` avoids that, but it does not
support operations after the head, and on a CPU it multiplies in float32.

Shapes: N positions, V vocabulary, P positions at a time.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

CPU_LOGITS = 2**20  # at a time: 4 MB in float32, which fit into the CPU's cache
GPU_LOGITS = 2**26  # at a time: 256 MB in float32; fewer would mean many small kernels


def cross_entropy(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Return the nats of each target, (N,), computed in float32 from logits of any dtype."""
    return cast(Tensor, _CrossEntropy.apply(logits_NV, targets_N))  # type: ignore[no-untyped-call]  # torch's own is not typed


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor) -> Tensor:  # Any: as in torch
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
    limit = CPU_LOGITS if logits_NV.device.type == "cpu" else GPU_LOGITS
    size = max(1, limit // logits_NV.shape[1])
    return [slice(start, start + size) for start in range(0, len(logits_NV), size)]

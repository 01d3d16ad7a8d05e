"""Sums and copies of tensors across devices, in buckets: a collective for each small tensor would mostly wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_BYTES = 2**26  # 64 MB, which are copied at a time; a larger tensor has a bucket of its own

AnyTensor = TypeVar("AnyTensor", bound=Tensor)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Sum the gradients of all devices on the first one, in float32. The others lose theirs.

    Args:
        parameters: the same on all devices; one without a gradient counts as zero.
    """
    is_first = dist.get_rank() == 0
    for bucket in _divide(parameters):
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).float() for p in bucket])
        for parameter in bucket:
            parameter.grad = None
        dist.reduce(flat, dst=0)
        if is_first:
            for parameter, gradient in zip(bucket, torch.split(flat, [p.numel() for p in bucket]), strict=True):
                parameter.grad = gradient.view_as(parameter).to(parameter.dtype)


@torch.no_grad()
def copy_from_first(tensors: Sequence[Tensor]) -> None:
    """Give tensors on all devices the values that those of the first one have, to the last bit.

    Args:
        tensors: of any dtypes, with the same shapes on all devices.
    """
    is_first = dist.get_rank() == 0
    for bucket in _divide(tensors):
        flat = torch.cat([tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in bucket])
        dist.broadcast(flat, src=0)
        if not is_first:
            for tensor, values in zip(bucket, torch.split(flat, [t.nbytes for t in bucket]), strict=True):
                tensor.copy_(values.clone().view(tensor.dtype).view(tensor.shape))  # a copy begins where a number may


def _divide(tensors: Sequence[AnyTensor]) -> Iterator[list[AnyTensor]]:
    """Yield the tensors in buckets, in their order."""
    bucket: list[AnyTensor] = []
    for tensor in tensors:
        if bucket and sum(t.nbytes for t in bucket) + tensor.nbytes > BUCKET_BYTES:
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket

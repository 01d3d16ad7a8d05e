"""Run a model that has no weights: its shapes and which parameters get a gradient, without any numbers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tuneoff.models.quantisation import plain_shape
from tuneoff.models.structure import find_blocks

ROWS, TOKENS = 2, 4


@contextlib.contextmanager
def run_without_numbers(network: Any) -> Iterator[None]:
    """Let a network on the device `meta` run inside the block.

    transformers' models read numbers from plain meta tensors, for example to see whether a mask has padding. Inside the
    block all tensors are PyTorch's fake tensors, from which they know not to read.
    """
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # an operation that fails here is explained by our own message
    try:
        with _in_bf16(network), FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        logger.setLevel(level)


def make_inputs(device: str) -> dict[str, Tensor]:
    """Return the inputs of a forward pass over two short rows."""
    return {"input_ids": torch.zeros(ROWS, TOKENS, dtype=torch.long, device=device)}


@contextlib.contextmanager
def run_few_blocks(network: Any) -> Iterator[dict[str, Tensor]]:
    """Let a network on the device `meta` run with one block of each kind, on the inputs that this returns.

    It takes a fraction of the time of `run_without_numbers`, and not every model can run in this way: the inputs have
    the mask of each query, from which most models need no numbers, and a model may need all of its blocks.
    """
    blocks = find_blocks(network)
    all_blocks = list(blocks)
    kinds = {_describe_kind(block): block for block in reversed(all_blocks)}
    kept = [block for block in all_blocks if block is kinds[_describe_kind(block)] or block is all_blocks[-1]]
    mask = torch.zeros(ROWS, 1, TOKENS, TOKENS, dtype=torch.bfloat16, device="meta")
    try:
        _replace(blocks, kept)
        with _in_bf16(network):
            yield {**make_inputs("meta"), "attention_mask": mask}
    finally:
        _replace(blocks, all_blocks)


@contextlib.contextmanager
def _in_bf16(network: Any) -> Iterator[None]:
    """Hold the weights in bf16: the kernel for the experts of a layer has no other dtype on the device `meta`."""
    with plain_shape(network):
        nn.Module.to(network, torch.bfloat16)  # transformers' own refuses a model that was to be quantised
        try:
            yield
        finally:
            nn.Module.to(network, torch.float32)


def _describe_kind(block: nn.Module) -> tuple[object, ...]:
    return tuple((name, type(module)) for name, module in block.named_modules())


def _replace(blocks: nn.ModuleList, by: list[nn.Module]) -> None:
    blocks._modules = {str(number): block for number, block in enumerate(by)}

"""Run a model that has no weights: its shapes and which parameters get a gradient, without any numbers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode


@contextlib.contextmanager
def run_without_numbers(network: Any) -> Iterator[None]:
    """Let a network on the device `meta` run inside the block.

    transformers' models read numbers from plain meta tensors, for example to see whether a mask has padding. Inside the
    block all tensors are PyTorch's fake tensors, from which they know not to read. The network is in bf16, because the
    kernel for the experts of a layer has no other dtype on this device.
    """
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # an operation that fails here is explained by our own message
    network.to(torch.bfloat16)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        network.to(torch.float32)
        logger.setLevel(level)

"""Compile a model's blocks for training: faster steps after about a minute of compiling.

PyTorch compiles one program for each kind of block and of batch (with or without padding). It serves all lengths, all
blocks of that kind, and all later trials of the process. Random numbers are drawn as the model's own code draws them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from tuneoff.errors import RecipeError
from tuneoff.models.language_model import LanguageModel

PROGRAMS = 256  # per block's code before PyTorch stops compiling; each rank, kind and precision needs its own


@contextlib.contextmanager
def compile_blocks(model: LanguageModel) -> Iterator[None]:
    """Run the blocks from the lowest trained one on as compiled programs. Those below need no backward pass."""
    from torch._dynamo import config as dynamo_config
    from torch._inductor import config as inductor_config

    blocks: list[Any] = list(model.blocks[model.frozen_blocks :])
    for block in blocks:
        block.forward = torch.compile(block.forward, dynamic=True)  # on the instance, where it hides its class's
    try:
        with (
            dynamo_config.patch(recompile_limit=PROGRAMS),
            inductor_config.patch(fallback_random=True),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor", UserWarning)  # raised by the tracer
            yield
    finally:
        for block in blocks:
            del block.forward


def require_compiler(device: torch.device) -> None:
    """Compile a small function to test whether PyTorch can compile on this machine.

    Raises:
        RecipeError: it cannot, with what is missing.
    """
    try:
        torch.compile(lambda x: x + 1, dynamic=True)(torch.zeros(2, device=device))
    except Exception as error:  # each compiler raises its own types, which PyTorch does not export
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecipeError(
            f"training.compile is true, but PyTorch cannot compile here: {reason} "
            "On a CPU it needs g++ and Python's headers, on a GPU Triton. Install them, or leave compile out."
        ) from error

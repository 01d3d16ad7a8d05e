"""The blocks that a training goes through as programs that PyTorch compiles: faster steps, after a minute of compiling.

A program is made for every kind of block and of batch (with padding, or without), and serves all lengths, all blocks of
the kind and all later trials of the process. What is random in it draws as the model's own code draws.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tuneoff.errors import RecipeError

if TYPE_CHECKING:
    import torch

    from tuneoff.models.language_model import LanguageModel

PROGRAMS = 256  # of one block's code, before PyTorch would give up: one for each rank, kind and precision


@contextlib.contextmanager
def compile_blocks(model: LanguageModel) -> Iterator[None]:
    """Run the blocks from the lowest trained one on as compiled programs. Those below need no backward pass."""
    import torch
    from torch._dynamo import config as tracing
    from torch._inductor import config as code

    blocks: list[Any] = list(model.blocks[model.frozen_blocks :])
    for block in blocks:
        block.forward = torch.compile(block.forward, dynamic=True)  # on the instance, before its class's
    try:
        with tracing.patch(recompile_limit=PROGRAMS), code.patch(fallback_random=True), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor", UserWarning)  # the tracer looks there
            yield
    finally:
        for block in blocks:
            del block.forward


def require_compiler(device: torch.device) -> None:
    """Try whether PyTorch can compile here.

    Raises:
        RecipeError: it cannot, with what it misses.
    """
    import torch

    try:
        torch.compile(lambda x: x + 1, dynamic=True)(torch.zeros(2, device=device))
    except Exception as error:  # the compilers' own kinds, which no module of PyTorch's names in public
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecipeError(
            f"training.compile is true, but PyTorch cannot compile here: {reason} "
            "On a CPU it needs g++ and Python's headers, on a GPU Triton. Install them, or leave compile out."
        ) from error

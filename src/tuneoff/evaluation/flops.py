"""Floating-point operations for a generated token, counted while the model runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.quantisation import list_operations

FUSED_ATTENTION = (  # PyTorch's counter does not know the kernels of every device
    torch.ops.aten._scaled_dot_product_attention_math_for_mps,
    torch.ops.aten._scaled_dot_product_cudnn_attention,
    torch.ops.aten._scaled_dot_product_efficient_attention,
    torch.ops.aten._scaled_dot_product_flash_attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu,
    torch.ops.aten._scaled_dot_product_fused_attention_overrideable,
)


def count_token_flops(model: LanguageModel, tokens_BT: torch.Tensor, attention_BT: torch.Tensor) -> int:
    """Return the operations for the first token after the one that ends the prompt's pass.

    Matrix products, convolutions and attention count, two for a multiplication and an addition; other work is small or
    unknown to PyTorch's counter. The count is exact.
    """
    first, second = (_count_flops(model, tokens_BT, attention_BT, new_tokens=n) for n in (1, 2))
    return second - first


def _count_flops(model: LanguageModel, tokens_BT: torch.Tensor, attention_BT: torch.Tensor, *, new_tokens: int) -> int:
    formulas = {**dict.fromkeys(FUSED_ATTENTION, _count_attention), **dict(list_operations(model.network))}
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        generate(model, tokens_BT, attention_BT, max_new_tokens=new_tokens, min_new_tokens=new_tokens)
    return int(counter.get_total_flops())


def _count_attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    """The operations for queries times keys and weights times values, from their shapes, (B, H, T, D)."""
    rows, heads, queries, width = query
    return 2 * rows * heads * queries * key[2] * (width + value[3])

"""The beginning that the prompts of a batch have in common, such as a system message or shown examples.

Its keys and values are the same for all of them, so it may be read once.

Shapes: B prompts, T positions, C positions of the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LEAST_TOKENS = 16  # that are worth a pass of their own


def split_beginning(tokens_BT: Tensor, attention_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tokens that all prompts begin with, (C,), and the attention mask without them, (B, T).

    They become padding, at least one token of each prompt is left, and there are none if they are too few.

    Args:
        tokens_BT: prompts, padded on the left.
        attention_BT: one for a token, zero for padding.
    """
    first, *others = (tokens[mask].tolist() for tokens, mask in zip(tokens_BT, attention_BT.bool(), strict=True))
    common = min((count_common(first[:-1], other[:-1]) for other in others), default=0)
    if common < LEAST_TOKENS:
        return tokens_BT.new_empty(0), attention_BT
    beginning_C = torch.tensor(first[:common], dtype=tokens_BT.dtype, device=tokens_BT.device)
    return beginning_C, attention_BT * (attention_BT.cumsum(dim=1) > common)


def count_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two prompts have in common at their beginnings."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # comparing slices is much faster than comparing tokens one by one
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

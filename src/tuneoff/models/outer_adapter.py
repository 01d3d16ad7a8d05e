"""What a language model must know of an adapter that wraps transformers' model from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class OuterAdapter:
    """How to use a network that is a wrapper around transformers' model.

    The functions take the network as an argument, so that a copied model computes with its own weights.

    Args:
        get_base: returns transformers' model inside the network.
        make_inputs: returns further inputs of a forward pass, for a number of rows.
        compute_prompt: returns the soft prompt's vectors, (P, D); None for an adapter without a soft prompt.
        needs_own_generate: whether only the network's own `generate` applies the adapter.
    """

    get_base: Callable[[Any], Any]  # Any: the wrappers and transformers' models have no common type
    make_inputs: Callable[[Any, int], dict[str, Tensor]]
    compute_prompt: Callable[[Any], Tensor] | None
    needs_own_generate: bool

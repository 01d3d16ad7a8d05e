"""The structure of a transformers model: its blocks, its head and its layers by kind.

`network` is transformers' own model in every function, with whatever adapters act inside it.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


def get_head(network: Any) -> nn.Module:
    """Return the module that turns the trunk's output into logits."""
    return cast(nn.Module, network.get_output_embeddings())


def find_blocks(network: Any) -> nn.ModuleList:
    """Return the transformer blocks, from the first to the last."""
    return max((module for module in network.modules() if isinstance(module, nn.ModuleList)), key=len)


def has_tied_head(network: Any) -> bool:
    """Return whether the head and the input embedding share one weight."""
    return get_head(network).weight is network.get_input_embeddings().weight


def trains_input_embedding(network: Any) -> bool:
    """Return whether a training step changes the input embedding."""
    return bool(network.get_input_embeddings().weight.requires_grad)


def untie_head(network: Any) -> None:
    """Give the head its own copy of the weight that it shares with the input embedding."""
    head = get_head(network)
    head.weight = nn.Parameter(cast(Tensor, head.weight).detach().clone())
    network.config.tie_word_embeddings = False


def find_linears(network: Any) -> dict[str, Any]:
    """Return the linear layers inside the blocks, by full name."""
    inside = set(find_blocks(network).modules())
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module in inside
    }


def find_attention_linears(network: Any) -> list[str]:
    """Return the full names of the linear layers inside attention modules."""
    return [name for name in find_linears(network) if "attn" in name.lower().replace("attention", "attn")]


def find_norms(network: Any) -> list[str]:
    """Return the full names of the normalization layers. Each architecture has its own class, so the name decides."""
    return [name for name, module in network.named_modules() if type(module).__name__.endswith("Norm")]

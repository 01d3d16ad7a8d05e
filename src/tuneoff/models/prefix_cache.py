"""Learned keys and values as the start of a model's cache, where its attention cannot be extended in another way.

It is peft's way. Gradient checkpointing drops the cache, so it cannot be used then.

Shapes: H key heads, P tokens of the prefix, D numbers of a head, B rows, T positions.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from tuneoff.models.gradient_checkpointing import uses_gradient_checkpointing
from tuneoff.models.prefix_attention import Layers


def compute_cache(network: Any, tokens_1T: Tensor) -> Layers:
    """Return what a network stores in its cache for some tokens: keys and values of each layer, (H, T, D).

    Raises:
        ValueError: the network takes no cache, or does not fill it.
    """
    if "past_key_values" not in inspect.signature(network.forward).parameters:
        raise ValueError(f"a {type(network).__name__} takes no keys and values that stand before the text")
    cache = DynamicCache()  # without the config, since a layer with a window would store only the last tokens
    network(inputs_embeds=network.get_input_embeddings()(tokens_1T), past_key_values=cache, use_cache=True)
    if not cache.layers:
        raise ValueError(f"a {type(network).__name__} stores no keys and values")
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def attach_to_cache(network: Any, layers: Layers) -> None:
    """Let the network start from a cache with trainable keys and values wherever it would start from an empty one."""
    network.prefix_cache = nn.ModuleList(
        nn.ParameterDict({"key": keys.clone(), "value": values.clone()}) for keys, values in layers
    )
    network.register_forward_pre_hook(_start_from_prefix, with_kwargs=True)


def has_prefix_in_cache(network: Any) -> bool:
    """Return whether `attach_to_cache` was called for the network."""
    return hasattr(network, "prefix_cache")


def _start_from_prefix(network: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Before a forward pass, put the prefix before the text: in the cache, the attention mask and the positions."""
    if network.training and uses_gradient_checkpointing(network):
        raise ValueError(
            f"The prefix of a {type(network).__name__} cannot be trained with gradient checkpointing. Set "
            "training.gradient_checkpointing: never, and a smaller training.micro_batch_size if memory is short."
        )
    inputs = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
    rows, tokens = inputs.shape[0], network.prefix_cache[0]["key"].shape[1]
    cache = kwargs.get("past_key_values")
    cache = DynamicCache() if cache is None else cache
    if cache.get_seq_length() == 0:
        _fill(cache, network, rows)
    mask = kwargs.get("attention_mask")
    if mask is None:
        mask = torch.ones(rows, cache.get_seq_length() - tokens + inputs.shape[1], device=inputs.device)
    changed = {"past_key_values": cache, "attention_mask": nn.functional.pad(mask, (tokens, 0), value=1)}
    if kwargs.get("position_ids") is not None:
        changed["position_ids"] = kwargs["position_ids"] + tokens
    return args, {**kwargs, **changed}


def _fill(cache: Any, network: Any, rows: int) -> None:
    dtype = network.get_input_embeddings().weight.dtype
    for number, layer in enumerate(network.prefix_cache):
        keys, values = (layer[name].to(dtype).expand(rows, -1, -1, -1) for name in ("key", "value"))
        cache.update(keys, values, number)

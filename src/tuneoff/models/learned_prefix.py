"""A learned prefix: the keys and values of a few positions before the text, in every layer of a model.

Where a model's attention goes through transformers' table of attention functions, the prefix is put before its keys and
values there. Otherwise it stands at the start of the cache. Both equal a text before every row, if the keys and values
are those of that text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from tuneoff.models.prefix_attention import (
    WRAPPED,
    Layers,
    attach_to_attention,
    find_gpt_neo_attentions,
    record_attention,
)
from tuneoff.models.prefix_cache import attach_to_cache, compute_cache
from tuneoff.models.shapes import run_without_numbers
from tuneoff.models.structure import find_blocks


def add_prefix(network: Any, tokens: Sequence[int], *, random: bool) -> None:
    """Add a trainable prefix that starts as the keys and values of some tokens, or at random with their deviation.

    Raises:
        ValueError: the model does not store keys and values in every layer, or its attention is not supported.
    """
    attentions, layers = _find_attentions(network, tokens)
    _attach(network, attentions, _draw_random_like(layers) if random else layers)


def attach_prefix(network: Any, layers: Layers) -> None:
    """Add a prefix with known keys and values.

    Raises:
        ValueError: the prefix is not one of this model.
    """
    attentions, own = _find_attentions(network, [0])
    if [keys.shape[::2] for keys, _ in own] != [keys.shape[::2] for keys, _ in layers]:
        raise ValueError(f"the prefix does not fit a {type(network).__name__}")
    _attach(network, attentions, layers)


def get_prefix(network: Any) -> Layers:
    """Return the keys and values of the prefix as they are now."""
    parts = [module for name, module in network.named_modules() if isinstance(module, nn.ParameterDict)]
    prefixes: list[Any] = [part for part in parts if part.keys() == {"key", "value"}]
    return [(part["key"].detach(), part["value"].detach()) for part in prefixes]


def _attach(network: Any, attentions: Sequence[Any], layers: Layers) -> None:
    if attentions:
        attach_to_attention(network, attentions, layers)
    else:
        attach_to_cache(network, layers)


@torch.no_grad()
def _find_attentions(network: Any, tokens: Sequence[int]) -> tuple[list[Any], Layers]:
    """Return the modules that get a prefix, none if the cache gets it, and the keys and values of some tokens."""
    _require_keys_and_values(network)
    if network.device.type != "meta":
        return _run(network, torch.tensor([list(tokens)], device=network.device))
    with run_without_numbers(network):
        attentions, layers = _run(network, torch.zeros(1, len(tokens), dtype=torch.long, device="meta"))
        shapes = [(keys.shape, values.shape) for keys, values in layers]
    return attentions, [(torch.empty(k, device="meta"), torch.empty(v, device="meta")) for k, v in shapes]


def _run(network: Any, tokens_1T: Tensor) -> tuple[list[Any], Layers]:
    if attentions := find_gpt_neo_attentions(network):
        return attentions, compute_cache(network, tokens_1T)
    calls = record_attention(network, tokens_1T)
    if not calls:
        return [], compute_cache(network, tokens_1T)
    attentions = [module for module, _, _ in calls]
    blocks = find_blocks(network)
    if len(set(attentions)) < len(attentions):
        raise ValueError(f"the layers of a {type(network).__name__} share attention modules")
    if not all(set(attentions) & set(block.modules()) for block in blocks):
        raise ValueError(f"not every block of a {type(network).__name__} has attention")
    return attentions, [(keys[0], values[0]) for _, keys, values in calls]


def _require_keys_and_values(network: Any) -> None:
    implementation = network.config._attn_implementation
    if implementation not in WRAPPED:
        raise ValueError(f"prefix tuning supports {' and '.join(WRAPPED)} attention; this model uses {implementation}")
    kinds = {type(layer) for layer in DynamicCache(config=network.config).layers}
    if others := sorted(kind.__name__ for kind in kinds - {DynamicLayer, DynamicSlidingWindowLayer}):
        name = type(network).__name__
        raise ValueError(f"a {name} does not store plain keys and values in every layer; it has {', '.join(others)}")


def _draw_random_like(layers: Layers) -> Layers:
    """Return normally distributed keys and values with the standard deviation of the layer's own."""
    return [(torch.randn_like(keys) * keys.std(), torch.randn_like(values) * values.std()) for keys, values in layers]

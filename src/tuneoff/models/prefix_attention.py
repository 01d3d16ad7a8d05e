"""Attention that sees learned keys and values before those of the text.

peft passes them to the model as a filled cache, which gradient checkpointing drops. Here each attention module has its
prefix as parameters and puts it before the keys and values of the text: through transformers' table of attention
functions, or for GPT-Neo, which does not use that table, in the method that computes the attention. All tokens see all
of the prefix, even if a layer's window is short.

Shapes: H key heads, P tokens of the prefix, D numbers of a head.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

Layers = Sequence[tuple[Tensor, Tensor]]  # keys and values of each layer, (H, P, D)
NAME_START = "tuneoff-prefix-"  # of our attention functions in transformers' table; the wrapped one's name follows


@torch.no_grad()
def compute_keys_and_values(network: Any, tokens: Sequence[int]) -> Layers:
    """Return each layer's keys and values of some tokens. The keys include their positions.

    Raises:
        ValueError: the model's attention is not supported.
    """
    implementation = network.config._attn_implementation
    if implementation not in WRAPPED:
        raise ValueError(f"prefix tuning supports {' and '.join(WRAPPED)} attention; this model uses {implementation}")
    cache = DynamicCache()  # without the config, since a layer with a window would store only the last tokens
    ids_1P = torch.tensor([list(tokens)], device=network.device)
    network(inputs_embeds=network.get_input_embeddings()(ids_1P), past_key_values=cache, use_cache=True)
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def draw_random_like(layers: Layers) -> Layers:
    """Return normally distributed keys and values with the standard deviation of the layer's own."""
    return [(torch.randn_like(keys) * keys.std(), torch.randn_like(values) * values.std()) for keys, values in layers]


def attach_prefix(network: Any, layers: Layers) -> None:
    """Add trainable keys and values to each layer's attention, and shift the text's positions by their number.

    Raises:
        ValueError: the model's attention is not supported.
    """
    attentions = _find_attentions(network)
    if len(attentions) != len(layers):
        raise ValueError(f"prefix tuning does not support the attention of a {type(network).__name__}")
    for attention, (keys, values) in zip(attentions, layers, strict=True):
        attention.prefix = nn.ParameterDict({"key": keys.clone(), "value": values.clone()})
        if hasattr(attention, "_attn"):
            attention._attn = MethodType(_attend_in_gpt_neo, attention)
    if not hasattr(attentions[0], "_attn"):
        network.set_attn_implementation(NAME_START + network.config._attn_implementation)
    network.register_forward_pre_hook(functools.partial(_shift_positions, layers[0][0].shape[1]), with_kwargs=True)


def get_prefix(network: Any) -> Layers:
    """Return the keys and values that `attach_prefix` gave to each layer, as they are now."""
    return [(a.prefix["key"].detach(), a.prefix["value"].detach()) for a in _find_attentions(network)]


def _find_attentions(network: Any) -> list[Any]:  # Any: torch types what a module holds as a tensor or a module
    """Return the attention modules in the order of their layers; the innermost if one wraps another."""
    by_layer: dict[int, Any] = {}
    for module in network.modules():
        layer = getattr(module, "layer_idx", getattr(module, "layer_id", None))
        if layer is not None and "Attention" in type(module).__name__:
            by_layer[layer] = module
    return [by_layer[layer] for layer in sorted(by_layer)]


def _prepend_prefix(module: Any, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
    """Return keys and values of the prefix and the text, (B, H, P + T, D)."""
    rows, dtype = len(key_BHTD), key_BHTD.dtype
    prefix_key, prefix_value = (module.prefix[name].to(dtype).expand(rows, -1, -1, -1) for name in ("key", "value"))
    return torch.cat([prefix_key, key_BHTD], dim=2), torch.cat([prefix_value, value_BHTD.to(dtype)], dim=2)


def _extend_mask(mask: Tensor, tokens: int) -> Tensor:
    """Return the mask with the prefix before the text. Every query sees the prefix."""
    return nn.functional.pad(mask, (tokens, 0), value=True if mask.dtype == torch.bool else 0.0)


def _make_attention_function(wrapped: str) -> Callable[..., Any]:
    """Return transformers' attention function `wrapped` with the prefix before its keys and values."""

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
    ) -> Any:
        if wrapped == "eager":  # each model has its own
            function = sys.modules[type(module).__module__].eager_attention_forward
        else:
            function = ALL_ATTENTION_FUNCTIONS[wrapped]
        tokens = module.prefix["key"].shape[1]
        mask = None if attention_mask is None else _extend_mask(attention_mask, tokens)
        return function(module, query, *_prepend_prefix(module, key, value), mask, **kwargs)

    return attend


def _make_mask_function(wrapped: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    """Return a mask function that never leaves the mask to `is_causal`, which would hide the prefix."""

    def make_mask(*args: Any, **kwargs: Any) -> Tensor | None:
        return wrapped(*args, **{**kwargs, "allow_is_causal_skip": False})

    return make_mask


WRAPPED = {"sdpa": sdpa_mask, "eager": eager_mask}
for _name, _mask in WRAPPED.items():
    AttentionInterface.register(NAME_START + _name, _make_attention_function(_name))
    AttentionMaskInterface.register(NAME_START + _name, _make_mask_function(_mask))


def _attend_in_gpt_neo(
    self: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None
) -> tuple[Tensor, None]:
    """Replace GPT-Neo's `_attn`: the queries see the prefix and what the layer's own mask allows."""
    mask = self.make_mask(query.shape[-2], key.shape[-2], attention_mask)
    return self.attend(query, *_prepend_prefix(self, key, value), _extend_mask(mask, self.prefix["key"].shape[1])), None


def _shift_positions(
    tokens: int, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Before a forward pass, move the text to the positions after the prefix."""
    positions = kwargs.get("position_ids")
    if positions is None:
        inputs = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        cache = kwargs.get("past_key_values")
        start = cache.get_seq_length() if cache is not None else 0
        positions = torch.arange(start, start + inputs.shape[1], device=inputs.device)[None]
    return args, {**kwargs, "position_ids": positions + tokens}

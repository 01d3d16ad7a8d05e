"""Attention that sees learned keys and values before the text's own.

Peft hands them to the model as a cache that is already filled, which gradient checkpointing drops. Here each
attention module holds its prefix as parameters and puts it before the keys and values that it was about to use:
through transformers' table of attention functions, and in GPT-Neo, which has no use for that table, in the method
where its scores are made. All tokens see the whole prefix, also where a layer's window is short.

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
NAMED = "tuneoff-prefix-"  # what transformers calls our attention functions, before the name of the one inside


@torch.no_grad()
def compute_keys_and_values(network: Any, tokens: Sequence[int]) -> Layers:
    """What each layer's attention sees of some tokens: positions are already in the keys.

    Raises:
        ValueError: this model's attention cannot be reached.
    """
    inner = network.config._attn_implementation
    if inner not in INSIDE:
        raise ValueError(f"prefix tuning knows {' and '.join(INSIDE)} attention, and this model uses {inner}")
    cache = DynamicCache()  # without the config: a layer with a window would keep its last tokens only
    ids_1P = torch.tensor([list(tokens)], device=network.device)
    network(inputs_embeds=network.get_input_embeddings()(ids_1P), past_key_values=cache, use_cache=True)
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def draw_random_like(layers: Layers) -> Layers:
    """Normal numbers, as wide as a layer's own."""
    return [(torch.randn_like(keys) * keys.std(), torch.randn_like(values) * values.std()) for keys, values in layers]


def attach_prefix(network: Any, layers: Layers) -> None:
    """Give each layer's attention its keys and values, to be trained, and move the text's positions behind them.

    Raises:
        ValueError: this model's attention cannot be reached.
    """
    attentions = _find_attentions(network)
    if len(attentions) != len(layers):
        raise ValueError(f"prefix tuning cannot reach the attention of a {type(network).__name__}")
    for attention, (keys, values) in zip(attentions, layers, strict=True):
        attention.prefix = nn.ParameterDict({"key": keys.clone(), "value": values.clone()})
        if hasattr(attention, "_attn"):
            attention._attn = MethodType(_attend_in_gpt_neo, attention)
    if not hasattr(attentions[0], "_attn"):
        network.set_attn_implementation(NAMED + network.config._attn_implementation)
    network.register_forward_pre_hook(functools.partial(_resolve_attention, layers[0][0].shape[1]), with_kwargs=True)


def get_prefix(network: Any) -> Layers:
    """Return the keys and values that `attach_prefix` gave to each layer, as they are now."""
    return [(a.prefix["key"].detach(), a.prefix["value"].detach()) for a in _find_attentions(network)]


def _find_attentions(network: Any) -> list[Any]:  # Any: torch types what a module holds as a tensor or a module
    """The modules that attend, in the order of their layers; the innermost where one wraps another."""
    found: dict[int, Any] = {}
    for module in network.modules():
        number = getattr(module, "layer_idx", getattr(module, "layer_id", None))
        if number is not None and "Attention" in type(module).__name__:
            found[number] = module
    return [found[number] for number in sorted(found)]


def _prepend_prefix(module: Any, key_BHTD: Tensor, value_BHTD: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values, (B, H, P + T, D)."""
    rows = len(key_BHTD)
    before = (module.prefix[name].to(key_BHTD.dtype).expand(rows, -1, -1, -1) for name in ("key", "value"))
    key, value = zip(before, (key_BHTD, value_BHTD.to(key_BHTD.dtype)), strict=True)
    return torch.cat(key, dim=2), torch.cat(value, dim=2)


def _extend_mask(mask: Tensor, tokens: int) -> Tensor:
    """A mask over keys with the prefix before them, which everybody sees."""
    return nn.functional.pad(mask, (tokens, 0), value=True if mask.dtype == torch.bool else 0.0)


def _attend(inner: str) -> Callable[..., Any]:
    """transformers' attention function `inner`, which is given the prefix as well."""

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
    ) -> Any:
        if inner == "eager":  # every model brings its own
            function = sys.modules[type(module).__module__].eager_attention_forward
        else:
            function = ALL_ATTENTION_FUNCTIONS[inner]
        tokens = module.prefix["key"].shape[1]
        mask = None if attention_mask is None else _extend_mask(attention_mask, tokens)
        return function(module, query, *_prepend_prefix(module, key, value), mask, **kwargs)

    return attend


def _complete_mask(make: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    """A mask that is always written out: what is left to `is_causal` would hide the prefix."""

    def mask(*args: Any, **kwargs: Any) -> Tensor | None:
        return make(*args, **{**kwargs, "allow_is_causal_skip": False})

    return mask


INSIDE = {"sdpa": sdpa_mask, "eager": eager_mask}
for _name, _mask in INSIDE.items():
    AttentionInterface.register(NAMED + _name, _attend(_name))
    AttentionMaskInterface.register(NAMED + _name, _complete_mask(_mask))


def _attend_in_gpt_neo(
    self: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None
) -> tuple[Tensor, None]:
    """GPT-Neo's `_attn`, which sees the prefix beside what the layer's own mask lets through."""
    mask = self.mask(query.shape[-2], key.shape[-2], attention_mask)
    return self.attended(
        query, *_prepend_prefix(self, key, value), _extend_mask(mask, self.prefix["key"].shape[1])
    ), None


def _resolve_attention(
    tokens: int, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The text stands at the positions after the prefix."""
    positions = kwargs.get("position_ids")
    if positions is None:
        given = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        cache = kwargs.get("past_key_values")
        start = cache.get_seq_length() if cache is not None else 0
        positions = torch.arange(start, start + given.shape[1], device=given.device)[None]
    return args, {**kwargs, "position_ids": positions + tokens}

"""Attention that sees learned keys and values before those of the text.

Each attention module has its prefix as parameters and puts it before the keys and values of the text: through
transformers' table of attention functions, or for GPT-Neo, which does not use that table, in the method that computes
the attention. All tokens see all of the prefix, even if a layer's window is short.

Shapes: H key heads, P tokens of the prefix, D numbers of a head.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tuneoff.models.gpt_neo import GPTNeoSdpaAttention

Layers = Sequence[tuple[Tensor, Tensor]]  # keys and values of each attention, (H, P, D)
Calls = list[tuple[Any, Tensor, Tensor]]  # an attention module with the keys and values that it got, (B, H, T, D)
ATTEND, RECORD = "tuneoff-prefix-", "tuneoff-record-"  # our functions in transformers' table, before the wrapped name

_calls: ContextVar[Calls] = ContextVar("calls")


def record_attention(network: Any, tokens_1T: Tensor) -> Calls:
    """Return the attention modules that a network calls through transformers' table, in order, with their arguments.

    Empty if the network does not use the table, or takes no positions, with which the text would be moved.
    """
    if "position_ids" not in inspect.signature(network.forward).parameters:
        return []
    calls: Calls = []
    token = _calls.set(calls)
    try:
        with _use_attention(network, RECORD + network.config._attn_implementation):
            network(inputs_embeds=network.get_input_embeddings()(tokens_1T), use_cache=False)
    finally:
        _calls.reset(token)
    return calls


def find_gpt_neo_attentions(network: Any) -> list[Any]:
    """Return the attention modules of a GPT-Neo with our fused attention, in the order of their layers."""
    return [module for module in network.modules() if isinstance(module, GPTNeoSdpaAttention)]


def attach_to_attention(network: Any, attentions: Sequence[Any], layers: Layers) -> None:
    """Add trainable keys and values to each attention module, and shift the text's positions by their number."""
    for attention, (keys, values) in zip(attentions, layers, strict=True):
        attention.prefix = nn.ParameterDict({"key": keys.clone(), "value": values.clone()})
        if isinstance(attention, GPTNeoSdpaAttention):
            setattr(attention, "_attn", MethodType(_attend_in_gpt_neo, attention))  # noqa: B010  typed as a method
    if not isinstance(attentions[0], GPTNeoSdpaAttention):
        network.set_attn_implementation(ATTEND + network.config._attn_implementation)
    network.register_forward_pre_hook(functools.partial(_shift_positions, layers[0][0].shape[1]), with_kwargs=True)


@contextlib.contextmanager
def _use_attention(network: Any, implementation: str) -> Iterator[None]:
    usual = network.config._attn_implementation
    network.set_attn_implementation(implementation)
    try:
        yield
    finally:
        network.set_attn_implementation(usual)


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
        tokens = module.prefix["key"].shape[1]
        mask = _make_causal_mask(query, key) if attention_mask is None else attention_mask
        function = _find_function(wrapped, module)
        return function(module, query, *_prepend_prefix(module, key, value), _extend_mask(mask, tokens), **kwargs)

    return attend


def _make_recording_function(wrapped: str) -> Callable[..., Any]:
    """Return transformers' attention function `wrapped`, which then notes what it is called with."""

    def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        _calls.get().append((module, key, value))
        return _find_function(wrapped, module)(module, query, key, value, *args, **kwargs)

    return attend


def _find_function(wrapped: str, module: Any) -> Callable[..., Any]:
    if wrapped != "eager":
        return ALL_ATTENTION_FUNCTIONS[wrapped]  # type: ignore[no-any-return]  # transformers is not typed for us
    eager: Callable[..., Any] = sys.modules[type(module).__module__].eager_attention_forward  # each model has its own
    return eager


def _make_causal_mask(query: Tensor, key: Tensor) -> Tensor:
    """Return the mask that a missing one stands for, (1, 1, Q, K): no query sees a key after its own position."""
    queries, keys = query.shape[2], key.shape[2]
    sees_QK = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)
    return torch.zeros_like(sees_QK, dtype=query.dtype).masked_fill(~sees_QK, torch.finfo(query.dtype).min)[None, None]


def _make_mask_function(wrapped: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    """Return a mask function that never leaves the mask to `is_causal`, which would hide the prefix."""

    def make_mask(*args: Any, **kwargs: Any) -> Tensor | None:
        return wrapped(*args, **{**kwargs, "allow_is_causal_skip": False})

    return make_mask


WRAPPED = {"sdpa": sdpa_mask, "eager": eager_mask}
for _name, _mask in WRAPPED.items():
    AttentionInterface.register(ATTEND + _name, _make_attention_function(_name))
    AttentionMaskInterface.register(ATTEND + _name, _make_mask_function(_mask))
    AttentionInterface.register(RECORD + _name, _make_recording_function(_name))
    AttentionMaskInterface.register(RECORD + _name, _mask)


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

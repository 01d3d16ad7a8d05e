"""Greedy generation that does no work twice.

transformers' `generate` copies all keys and values for every new token, keeps a row until the last one is done, and
gives the head a slice that PyTorch multiplies with a copy of the head's weight for each row. Here keys and values
have room ahead, rows leave when they are done, and the head sees one position. The tokens are the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

LEAVING = 0.25  # share of the rows that must be done before the others are moved together

Logits = Callable[..., Tensor]  # what a network is called with, to the logits of each row's last position, (B, V)


def can_generate(network: Any) -> bool:
    """Whether a model of transformers takes positions and keeps nothing but keys and values."""
    taken = inspect.signature(network.forward).parameters
    kept = {type(layer) for layer in DynamicCache(config=network.config).layers}
    return {"position_ids", "past_key_values"} <= taken.keys() and kept <= {DynamicLayer, DynamicSlidingWindowLayer}


def sees(network: Any, tokens: int) -> bool:
    """Whether all of `tokens` positions see each other, so that padding may stand among them."""
    windows = (getattr(network.config, name, None) for name in ("sliding_window", "window_size"))
    return all(window is None or tokens <= window for window in windows)


def generate(
    network: Any,
    logits_of: Logits,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    *,
    prompt_PD: Tensor | None,
    ends: Sequence[int],
    pad: int,
    max_new_tokens: int,
    min_new_tokens: int = 0,
) -> Tensor:
    """The most likely token after each row, again and again until one of `ends`; (B, new tokens), then padded.

    Args:
        network: transformers' model, for its shape.
        logits_of: calls it.
        tokens_BT: prompts, padded on the left.
        attention_BT: one for a token, zero for padding.
        prompt_PD: vectors before every row's text; their keys and values are computed once.
    """
    before = 0 if prompt_PD is None else len(prompt_PD)
    length = before + tokens_BT.shape[1] + max_new_tokens
    unpadded = max_new_tokens > 1 and bool(attention_BT.all())
    if unpadded and _gains_from_padding(network) and (prompt_PD is None or sees(network, 1 + length)):
        tokens_BT, attention_BT = (functional.pad(of, (1, 0)) for of in (tokens_BT, attention_BT))
    cache = _cache(network, 1 + length)
    positions_BT = before + (attention_BT.cumsum(dim=1) - 1).clamp(min=0)
    if prompt_PD is not None:
        logits_of(inputs_embeds=prompt_PD[None], past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(tokens_BT))
        attention_BT = torch.cat([attention_BT.new_ones(len(tokens_BT), before), attention_BT], dim=1)
    written_BN = tokens_BT.new_full((len(tokens_BT), max_new_tokens), pad)
    rows_R = torch.arange(len(tokens_BT), device=tokens_BT.device)  # those that are still there
    done_R = torch.zeros_like(rows_R, dtype=torch.bool)
    ends_E = torch.tensor(ends, dtype=torch.long, device=tokens_BT.device)
    for n in range(max_new_tokens):
        logits_RV = logits_of(
            input_ids=tokens_BT, attention_mask=attention_BT, position_ids=positions_BT,
            past_key_values=cache, use_cache=True,
        ).float()  # fmt: skip
        if n < min_new_tokens:
            logits_RV[:, ends_E] = -torch.inf
        next_R = logits_RV.argmax(dim=-1)
        written_BN[rows_R, n] = next_R.where(~done_R, pad)
        done_R |= torch.isin(next_R, ends_E)
        if bool(done_R.all()):
            return written_BN[:, : n + 1]
        positions_BT, tokens_BT = positions_BT[:, -1:] + 1, next_R[:, None]
        attention_BT = torch.cat([attention_BT, attention_BT.new_ones(len(rows_R), 1)], dim=1)
        if done_R.sum() >= LEAVING * len(rows_R):
            stay = (~done_R).nonzero()[:, 0]
            cache.batch_select_indices(stay)
            rows_R, done_R, tokens_BT = rows_R[stay], done_R[stay], tokens_BT[stay]
            positions_BT, attention_BT = positions_BT[stay], attention_BT[stay]
    return written_BN


def _gains_from_padding(network: Any) -> bool:
    """Whether a new token's attention is faster with padding somewhere: on a CPU only a mask lets transformers give the
    queries that share a key to the kernel together, and that takes a quarter of the time."""
    config = network.config.get_text_config(decoder=True)
    if network.device.type != "cpu" or config._attn_implementation != "sdpa":
        return False
    heads = config.num_attention_heads
    return bool((getattr(config, "num_key_value_heads", None) or heads) < heads)


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed for us
    """Keys and values at the begin of a buffer with room for all tokens to come."""

    keys: Tensor
    values: Tensor

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        start, new = self.get_seq_length(), [key_states, value_states]
        end = start + key_states.shape[-2]
        if not self._buffers:
            if start:  # the rows are others than before
                start, new = 0, [torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], -2)]
            self._buffers = [
                states.new_empty(*states.shape[:-2], max(self._room, end), states.shape[-1]) for states in new
            ]
        for buffer, states in zip(self._buffers, new, strict=True):
            buffer[..., start:end, :] = states
        keys, values = (buffer[..., :end, :] for buffer in self._buffers)
        self.keys, self.values, self.is_initialized = keys, values, True
        return keys, values

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = []

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._buffers = []


def _cache(network: Any, room: int) -> DynamicCache:
    cache = DynamicCache(config=network.config)
    cache.layers = [_RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache

"""Greedy generation that does no work twice.

transformers' `generate` copies all keys and values for every new token, keeps a row until the last one is done, and
gives the head a slice that PyTorch multiplies with a copy of the head's weight for each row. Here keys and values
have room ahead, rows leave when they are done, and the head sees one position. The tokens are the same.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

READ_TOGETHER = 16  # prompts: products of so many run at full rate, while a new token gains from every further row
LEAVING = 0.25  # share of the rows that must be done before the others are moved together

Logits = Callable[..., Tensor]  # what a network is called with, to the logits of each row's last position, (B, V)


def can_generate(network: Any) -> bool:
    """Whether a model of transformers takes positions and keeps nothing but keys and values."""
    taken = inspect.signature(network.forward).parameters
    kept = {type(layer) for layer in DynamicCache(config=network.config).layers}
    return {"position_ids", "past_key_values"} <= taken.keys() and kept <= {DynamicLayer, DynamicSlidingWindowLayer}


def sees_all_positions(network: Any, tokens: int) -> bool:
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
        tokens_BT: prompts, padded on the left; those of similar length beside each other.
        attention_BT: one for a token, zero for padding.
        prompt_PD: vectors before every row's text; their keys and values are computed once.
    """
    logits_RV, cache, seen_RT = _read_prompts(network, logits_of, tokens_BT, attention_BT, prompt_PD, max_new_tokens)
    positions_R1 = seen_RT.sum(dim=1, keepdim=True)  # of the token to come
    written_BN = tokens_BT.new_full((len(tokens_BT), max_new_tokens), pad)
    rows_R = torch.arange(len(tokens_BT), device=tokens_BT.device)  # those that are still there
    done_R = torch.zeros_like(rows_R, dtype=torch.bool)
    ends_E = torch.tensor(ends, dtype=torch.long, device=tokens_BT.device)
    for n in range(max_new_tokens):
        if n < min_new_tokens:
            logits_RV[:, ends_E] = -torch.inf
        next_R = logits_RV.argmax(dim=-1)
        written_BN[rows_R, n] = next_R.where(~done_R, pad)
        done_R |= torch.isin(next_R, ends_E)
        if n + 1 == max_new_tokens or bool(done_R.all()):
            break
        if done_R.sum() >= LEAVING * len(rows_R):
            stay = (~done_R).nonzero()[:, 0]
            cache.batch_select_indices(stay)
            rows_R, done_R, next_R = rows_R[stay], done_R[stay], next_R[stay]
            positions_R1, seen_RT = positions_R1[stay], seen_RT[stay]
        seen_RT = functional.pad(seen_RT, (0, 1), value=1)
        logits_RV = logits_of(
            input_ids=next_R[:, None], attention_mask=seen_RT, position_ids=positions_R1,
            past_key_values=cache, use_cache=True,
        ).float()  # fmt: skip
        positions_R1 = positions_R1 + 1
    return written_BN[:, : n + 1]


def _read_prompts(
    network: Any,
    logits_of: Logits,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    prompt_PD: Tensor | None,
    room: int,
) -> tuple[Tensor, DynamicCache, Tensor]:
    """The logits after each prompt, (B, V), all keys and values with room for more, and where they are no padding.

    Prompts are read some at a time, padded to the longest of these alone.
    """
    own = DynamicCache(config=network.config)  # the vectors' own keys and values
    before = 0 if prompt_PD is None else len(prompt_PD)
    if prompt_PD is not None:
        logits_of(inputs_embeds=prompt_PD[None], past_key_values=own, use_cache=True)
    keep_all = all(type(layer) is DynamicLayer for layer in own.layers)
    size = READ_TOGETHER if keep_all else len(tokens_BT)
    logits, caches, seen = [], [], []
    for tokens_PT, attention_PT in zip(*(torch.split(of, size) for of in (tokens_BT, attention_BT)), strict=True):
        width = int(attention_PT.sum(dim=1).max())
        tokens_PT, attention_PT = tokens_PT[:, -width:], attention_PT[:, -width:]
        caches.append(copy.deepcopy(own))
        caches[-1].batch_repeat_interleave(len(tokens_PT))
        seen.append(functional.pad(attention_PT, (before, 0), value=1))
        logits.append(
            logits_of(
                input_ids=tokens_PT,
                attention_mask=seen[-1],
                position_ids=before + (attention_PT.cumsum(dim=1) - 1).clamp(min=0),
                past_key_values=caches[-1],
                use_cache=True,
            ).float()
        )
    width = max(mask.shape[1] for mask in seen)
    if keep_all and _gains_from_padding(network) and all(bool(mask.all()) for mask in seen):
        width += 1
    seen_BT = torch.cat([functional.pad(mask, (width - mask.shape[1], 0)) for mask in seen])
    return torch.cat(logits), _join_caches(caches, width, room), seen_BT


def _gains_from_padding(network: Any) -> bool:
    """Whether a new token's attention is faster with padding somewhere: on a CPU only a mask lets transformers give the
    queries that share a key to the kernel together, and that takes a quarter of the time."""
    config = network.config.get_text_config(decoder=True)
    if network.device.type != "cpu" or config._attn_implementation != "sdpa":
        return False
    heads = config.num_attention_heads
    return bool((getattr(config, "num_key_value_heads", None) or heads) < heads)


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed for us
    """Keys and values at the begin of a buffer with room for all tokens to come.

    Args:
        parts: the layers of some rows each, which are put below each other.
        width: how many positions they get, padded on the left.
        room: how many more will come.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, parts: Sequence[DynamicLayer], width: int, room: int) -> None:
        super().__init__()
        self.lazy_initialization(parts[0].keys, parts[0].values)
        self._buffers = [
            torch.cat([functional.pad(states, (0, 0, width - states.shape[-2], room)) for states in of_parts])
            for of_parts in ([part.keys for part in parts], [part.values for part in parts])
        ]
        self._show(width)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self._show(self.get_seq_length())

    def _show(self, end: int) -> None:
        self.keys, self.values = (buffer[..., :end, :] for buffer in self._buffers)


def _join_caches(caches: Sequence[DynamicCache], width: int, room: int) -> DynamicCache:
    """One cache for the rows of all. A layer that keeps only a window of what it saw stays as it is."""
    whole = caches[0]
    for number, layer in enumerate(whole.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            whole.layers[number] = _RoomyLayer([cache.layers[number] for cache in caches], width, room)
            for cache in caches[1:]:
                cache.layers[number].reset()
    return whole

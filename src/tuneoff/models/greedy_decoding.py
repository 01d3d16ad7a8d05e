"""Greedy decoding that does no work twice.

transformers' `generate` copies all keys and values for every new token, keeps a row until the last one is finished, and
gives the head a slice that PyTorch multiplies with a copy of the head's weight for each row. Here the buffers of keys
and values are allocated in advance, finished rows are removed, and the head sees one position. The tokens are the same.

Shapes: B prompts, S rows (samples of all prompts), R rows that are not removed yet, T positions, N new tokens,
V vocabulary, P soft-prompt positions, D width.
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

from tuneoff.models.common_beginning import split_beginning
from tuneoff.models.decoding import Rules
from tuneoff.models.prefix_cache import has_prefix_in_cache
from tuneoff.models.rope import count_stable_positions

READ_TOGETHER = 16  # prompts in one pass: enough for the full rate, while new tokens gain from every further row
REMOVAL_SHARE = 0.25  # of the rows that must be finished before they are removed, since removing copies the others

NO_RULES = Rules()

ComputeLogits = Callable[..., Tensor]  # from a network's inputs to the logits of each row's last position, (B, V)


def can_generate(network: Any) -> bool:
    """Return whether a model of transformers takes positions and stores nothing but keys and values of the text."""
    if has_prefix_in_cache(network):
        return False
    arguments = inspect.signature(network.forward).parameters
    layer_types = {type(layer) for layer in DynamicCache(config=network.config).layers}
    takes_positions = {"position_ids", "past_key_values"} <= arguments.keys()
    return takes_positions and layer_types <= {DynamicLayer, DynamicSlidingWindowLayer}


def sees_all_positions(network: Any, tokens: int) -> bool:
    """Return whether all of `tokens` positions are within the attention window, so that padding may be among them."""
    return all(tokens <= window for window in _list_windows(network))


def has_window(network: Any) -> bool:
    """Return whether some layers may see only the last positions."""
    return bool(_list_windows(network))


def _list_windows(network: Any) -> list[int]:
    names = ("sliding_window", "window_size", "attention_chunk_size")
    windows = (getattr(network.config, name, None) for name in names)
    return [window for window in windows if window is not None]


def generate(
    network: Any,
    compute_logits: ComputeLogits,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    *,
    prompt_PD: Tensor | None,
    ends: Sequence[int],
    pad: int,
    max_new_tokens: int,
    min_new_tokens: int = 0,
    rules: Rules = NO_RULES,
    samples: int = 1,
) -> Tensor:
    """Append the most likely token to each row until it is one of `ends`; return the new tokens, (S, N), then padding.

    Args:
        network: transformers' model.
        compute_logits: calls `network`.
        tokens_BT: prompts, padded on the left; similar lengths should be neighbors.
        attention_BT: one for a token, zero for padding.
        prompt_PD: vectors before every row's text. Their keys and values are computed once.
        ends: ids of the end tokens.
        pad: id of the token that fills a finished row.
        rules: what else decides which token follows and where a row ends.
        samples: rows for each prompt, which is read once. They differ only by what the rules do.
    """
    logits_RV, cache, attention_RT = read_prompts(
        network, compute_logits, tokens_BT, attention_BT, prompt_PD, max_new_tokens
    )
    if samples > 1:
        cache.batch_repeat_interleave(samples)
        logits_RV, attention_RT = (t.repeat_interleave(samples, dim=0) for t in (logits_RV, attention_RT))
    new_tokens_SN = tokens_BT.new_full((len(logits_RV), max_new_tokens), pad)
    rows_R = torch.arange(len(logits_RV), device=tokens_BT.device)  # that are not removed yet
    finished_R = torch.zeros_like(rows_R, dtype=torch.bool)
    ends_E = torch.tensor(ends, dtype=torch.long, device=tokens_BT.device)
    for n in range(max_new_tokens):
        if n < min_new_tokens:
            logits_RV[:, ends_E] = -torch.inf
        if rules.adjustments:
            logits_RV = rules.adjust(logits_RV, new_tokens_SN[rows_R, :n], rows_R)
        next_R = logits_RV.argmax(dim=-1)
        new_tokens_SN[rows_R, n] = next_R.where(~finished_R, pad)
        finished_R |= torch.isin(next_R, ends_E)
        if rules.is_stopped:
            finished_R |= rules.is_stopped(new_tokens_SN[rows_R, : n + 1])
        if n + 1 == max_new_tokens or bool(finished_R.all()):
            break
        if finished_R.sum() >= REMOVAL_SHARE * len(rows_R):
            remaining = (~finished_R).nonzero()[:, 0]
            cache.batch_select_indices(remaining)
            rows_R, finished_R = rows_R[remaining], finished_R[remaining]
            next_R, attention_RT = next_R[remaining], attention_RT[remaining]
        positions_R1 = attention_RT.sum(dim=1, keepdim=True)
        attention_RT = functional.pad(attention_RT, (0, 1), value=1)
        logits_RV = compute_logits(
            input_ids=next_R[:, None], attention_mask=attention_RT, position_ids=positions_R1,
            past_key_values=cache, use_cache=True,
        ).float()  # fmt: skip
    return new_tokens_SN[:, : n + 1]


def read_prompts(
    network: Any,
    compute_logits: ComputeLogits,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    prompt_PD: Tensor | None,
    max_new_tokens: int,
) -> tuple[Tensor, DynamicCache, Tensor]:
    """Return the logits after each prompt, (B, V), the cache of keys and values, and the attention mask over them.

    The prompts are read in parts, each padded to its own longest prompt, and what all of them begin with only once.
    """
    prompt_cache = DynamicCache(config=network.config)
    prompt_length = 0 if prompt_PD is None else len(prompt_PD)
    if prompt_PD is not None:
        compute_logits(inputs_embeds=prompt_PD[None], past_key_values=prompt_cache, use_cache=True)
    keeps_all_positions = all(type(layer) is DynamicLayer for layer in prompt_cache.layers)
    if keeps_all_positions and _may_begin_alone(network, prompt_length + tokens_BT.shape[1] + max_new_tokens):
        beginning_C, attention_BT = split_beginning(tokens_BT, attention_BT)
        if len(beginning_C):
            _read_beginning(compute_logits, beginning_C, prompt_length, prompt_cache)
        prompt_length += len(beginning_C)
    size = READ_TOGETHER if keeps_all_positions else len(tokens_BT)
    logits, caches, masks = [], [], []
    for tokens_PT, attention_PT in zip(torch.split(tokens_BT, size), torch.split(attention_BT, size), strict=True):
        width = int(attention_PT.sum(dim=1).max())
        tokens_PT, attention_PT = tokens_PT[:, -width:], attention_PT[:, -width:]
        cache = copy.deepcopy(prompt_cache)
        cache.batch_repeat_interleave(len(tokens_PT))
        mask_PT = functional.pad(attention_PT, (prompt_length, 0), value=1)
        logits_PV = compute_logits(
            input_ids=tokens_PT,
            attention_mask=mask_PT,
            position_ids=prompt_length + (attention_PT.cumsum(dim=1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
        )
        logits.append(logits_PV.float())
        caches.append(cache)
        masks.append(mask_PT)
    width = max(mask.shape[1] for mask in masks)
    if keeps_all_positions and _is_faster_with_padding(network) and all(bool(mask.all()) for mask in masks):
        width += 1
    mask_BT = torch.cat([functional.pad(mask, (width - mask.shape[1], 0)) for mask in masks])
    return torch.cat(logits), _join_caches(caches, width, max_new_tokens), mask_BT


def _may_begin_alone(network: Any, tokens: int) -> bool:
    """Return whether a part of a prompt may be read alone, with padding before the rest, in a row of `tokens`."""
    stable = count_stable_positions(network.config)
    return sees_all_positions(network, tokens) and (stable is None or tokens <= stable)


def _read_beginning(compute_logits: ComputeLogits, tokens_C: Tensor, start: int, cache: DynamicCache) -> None:
    """Append keys and values to a cache of one row.

    Args:
        start: the positions before, which are in the cache.
    """
    compute_logits(
        input_ids=tokens_C[None],
        attention_mask=tokens_C.new_ones(1, start + len(tokens_C)),
        position_ids=start + torch.arange(len(tokens_C), device=tokens_C.device)[None],
        past_key_values=cache,
        use_cache=True,
    )


def _is_faster_with_padding(network: Any) -> bool:
    """Return whether the attention of a new token is faster if a position is padding.

    On a CPU, transformers hands the queries that share a key to the kernel together only if there is a mask. That takes
    a quarter of the time.
    """
    config = network.config.get_text_config(decoder=True)
    if network.device.type != "cpu" or config._attn_implementation != "sdpa":
        return False
    heads = config.num_attention_heads
    return bool((getattr(config, "num_key_value_heads", None) or heads) < heads)


class _BufferedLayer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed for us
    """Keys and values at the start of a buffer that is large enough for all new tokens.

    Args:
        parts: the layers of some rows each, which are concatenated.
        width: the number of positions, padded on the left.
        max_new_tokens: the number of positions to reserve.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, parts: Sequence[DynamicLayer], width: int, max_new_tokens: int) -> None:
        super().__init__()
        self.lazy_initialization(parts[0].keys, parts[0].values)
        self._buffers = [
            torch.cat(
                [functional.pad(states, (0, 0, width - states.shape[-2], max_new_tokens)) for states in part_states]
            )
            for part_states in ([part.keys for part in parts], [part.values for part in parts])
        ]
        self._set_length(width)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        self._set_length(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self._set_length(self.get_seq_length())

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._buffers = [buffer.repeat_interleave(repeats, dim=0) for buffer in self._buffers]
        self._set_length(self.get_seq_length())

    def _set_length(self, length: int) -> None:
        self.keys, self.values = (buffer[..., :length, :] for buffer in self._buffers)


def _join_caches(caches: Sequence[DynamicCache], width: int, max_new_tokens: int) -> DynamicCache:
    """Return one cache for the rows of all caches. A layer that stores only a window of positions stays as it is."""
    joined = caches[0]
    for number, layer in enumerate(joined.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            parts = [cache.layers[number] for cache in caches]
            joined.layers[number] = _BufferedLayer(parts, width, max_new_tokens)
            for cache in caches[1:]:
                cache.layers[number].reset()
    return joined

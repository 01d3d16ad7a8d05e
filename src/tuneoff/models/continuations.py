"""The likelihood of given texts after a prompt, such as that of each label.

Shapes: B prompts, T positions, C continuations, K tokens of a continuation, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tuneoff.models import greedy_decoding
from tuneoff.models.generation import can_use_own_decoding, compute_last_logits, compute_prompt
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import to_float64


@torch.no_grad()
def score_continuations(
    model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor, continuations: Sequence[Sequence[int]]
) -> Tensor:
    """Return the log-probability in nats of each continuation after each prompt, (B, C), in float64.

    It is the sum over the continuation's tokens. A prompt goes through the model once if its keys and values can be
    stored, else once for each continuation.

    Args:
        tokens_BT: prompts, padded on the left.
        attention_BT: true for a token, false for padding.
        continuations: token ids, at least one each, with an end token if the text is to end there.
    """
    if not (model.outer_adapter and model.outer_adapter.needs_own_generate):
        prompt_PD = compute_prompt(model)
        longest = max(map(len, continuations))
        if _can_store_prompts(model, attention_BT, prompt_PD, longest):
            return _continue_stored_prompts(model, tokens_BT, attention_BT.long(), prompt_PD, continuations)
    scores = [_score_complete_texts(model, tokens_BT, attention_BT.bool(), tokens) for tokens in continuations]
    return torch.stack(scores, dim=1)


def _can_store_prompts(model: LanguageModel, attention_BT: Tensor, prompt_PD: Tensor | None, longest: int) -> bool:
    """Return whether all continuations can be appended to the same stored keys and values."""
    if not can_use_own_decoding(model, attention_BT, prompt_PD, longest):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.base.config).layers)


def _continue_stored_prompts(
    model: LanguageModel,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    prompt_PD: Tensor | None,
    continuations: Sequence[Sequence[int]],
) -> Tensor:
    read = greedy_decoding.read_prompts(
        model.base, partial(compute_last_logits, model), tokens_BT, attention_BT, prompt_PD,
        max(map(len, continuations)),
    )  # fmt: skip
    return score_after_prompts(model, *read, continuations)


def score_after_prompts(
    model: LanguageModel,
    last_logits_BV: Tensor,
    cache: DynamicCache,
    attention_BT: Tensor,
    continuations: Sequence[Sequence[int]],
) -> Tensor:
    """Return the log-probability of each continuation, (B, C), after prompts that were read.

    Args:
        last_logits_BV: after each prompt.
        cache: keys and values of the prompts. They are as before afterwards.
        attention_BT: one for a position of a prompt, zero for padding.
    """
    first_BV = last_logits_BV.log_softmax(dim=-1)
    positions_B1 = attention_BT.sum(dim=1, keepdim=True)
    scores = []
    for continuation in continuations:
        tokens_BK = attention_BT.new_tensor(continuation).expand(len(attention_BT), -1)
        score_B = to_float64(first_BV[:, continuation[0]])
        if later := len(continuation) - 1:
            logits_BKV = model.base(
                input_ids=tokens_BK[:, :-1],
                attention_mask=functional.pad(attention_BT, (0, later), value=1),
                position_ids=positions_B1 + torch.arange(later, device=attention_BT.device),
                past_key_values=cache,
                use_cache=True,
            ).logits.float()
            cache.crop(-later)
            scores_BK = logits_BKV.log_softmax(dim=-1).gather(2, tokens_BK[:, 1:, None])[..., 0]
            score_B = score_B + to_float64(scores_BK).sum(dim=1)
        scores.append(score_B)
    return torch.stack(scores, dim=1)


def _score_complete_texts(
    model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor, continuation: Sequence[int]
) -> Tensor:
    """Return the log-probability of one continuation after each prompt, (B,), through the model's own forward pass."""
    rows = [
        torch.cat([tokens[mask], tokens.new_tensor(continuation)])
        for tokens, mask in zip(tokens_BT, attention_BT, strict=True)
    ]
    lengths_B1 = attention_BT.sum(dim=1, keepdim=True)  # of the prompts
    texts_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.tokenizer.pad_token_id)
    positions_1T = torch.arange(texts_BT.shape[1], device=texts_BT.device)[None]
    is_text_BT = positions_1T < lengths_B1 + len(continuation)
    nats_N: Tensor = model(texts_BT, is_text_BT, is_text_BT & (positions_1T >= lengths_B1))
    return -to_float64(nats_N.view(len(rows), len(continuation))).sum(dim=1)

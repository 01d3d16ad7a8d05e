"""Greedy and beam-search generation with a language model, with or without a soft prompt."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from tuneoff.models import greedy_decoding
from tuneoff.models.language_model import LanguageModel


@torch.no_grad()
def generate(
    model: LanguageModel,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    *,
    max_new_tokens: int,
    min_new_tokens: int = 0,
    beams: int = 1,
) -> Tensor:
    """Return the tokens that the model writes after each prompt, (B, new tokens), padded on the right.

    Nothing is sampled.

    Args:
        tokens_BT: prompts, padded on the left.
        attention_BT: true for a token, false for padding.
        beams: 1 for greedy decoding.
    """
    attention_BT = attention_BT.long()
    options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens}
    if model.outer_adapter and model.outer_adapter.needs_own_generate:
        return _generate_row_by_row(model, tokens_BT, attention_BT, {**options, "num_beams": beams})
    prompt_PD = model.compute_prompt()
    if prompt_PD is not None:
        prompt_PD = prompt_PD.to(model.base.get_input_embeddings().weight.dtype)
    length = tokens_BT.shape[1] + max_new_tokens + (0 if prompt_PD is None else len(prompt_PD))
    # Our decoding puts a soft prompt before the padding. A layer with a short window would count the padding.
    window_counts_padding = (
        prompt_PD is not None
        and not bool(attention_BT.all())
        and not greedy_decoding.sees_all_positions(model.base, length)
    )
    if beams > 1 or not greedy_decoding.can_generate(model.base) or window_counts_padding:
        return generate_with_transformers(model, tokens_BT, attention_BT, prompt_PD, {**options, "num_beams": beams})
    return greedy_decoding.generate(
        model.base,
        partial(compute_last_logits, model),
        tokens_BT,
        attention_BT,
        prompt_PD=prompt_PD,
        ends=model.base.generation_config.eos_token_id or (),
        pad=model.base.generation_config.pad_token_id,
        **options,
    )


def compute_last_logits(model: LanguageModel, **inputs: Any) -> Tensor:
    """Return the logits, (B, V), after each row's last position.

    The head gets (B, D): for (B, 1, D), a slice, PyTorch would copy the head's weight once for each row.
    """
    narrowed = model.narrow_head(lambda hidden_BTD: hidden_BTD[:, -1])
    with narrowed if model.split_head else contextlib.nullcontext():
        logits = model.base(**inputs).logits
    return cast(Tensor, logits if model.split_head else logits[:, -1])


def generate_with_transformers(
    model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor, prompt_PD: Tensor | None, options: dict[str, Any]
) -> Tensor:
    """Return what transformers' own `generate` writes after each prompt, (B, new tokens).

    The soft prompt goes between a row's padding and its text. Before the padding, as peft puts it, it would shift the
    logits of every padded row.
    """
    options["do_sample"] = False
    if prompt_PD is None:
        generated = model.base.generate(input_ids=tokens_BT, attention_mask=attention_BT, **options)
        return cast(Tensor, generated[:, tokens_BT.shape[1] :])
    embedded_BTD = model.base.get_input_embeddings()(tokens_BT)
    padding_B = (attention_BT == 0).sum(dim=1).tolist()
    ones_P = attention_BT.new_ones(len(prompt_PD))
    return cast(
        Tensor,
        model.base.generate(
            inputs_embeds=torch.stack(
                [torch.cat([row[:k], prompt_PD, row[k:]]) for row, k in zip(embedded_BTD, padding_B, strict=True)]
            ),
            attention_mask=torch.stack(
                [torch.cat([row[:k], ones_P, row[k:]]) for row, k in zip(attention_BT, padding_B, strict=True)]
            ),
            **options,
        ),
    )


def _generate_row_by_row(
    model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor, options: dict[str, Any]
) -> Tensor:
    """Return what the network's own `generate` writes. Each prompt goes in alone, since padding would be misplaced."""
    rows = []
    for row, mask in zip(tokens_BT, attention_BT.bool(), strict=True):
        prompt_1T = row[mask][None]
        generated_1T = model.network.generate(
            input_ids=prompt_1T,
            attention_mask=torch.ones_like(prompt_1T),
            do_sample=False,
            **options,
            **model.make_adapter_inputs(1),
        )
        rows.append(generated_1T[0, prompt_1T.shape[1] :])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.tokenizer.pad_token_id)

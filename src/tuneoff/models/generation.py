"""Generation with a language model, with or without a soft prompt: greedy, by beam search or by sampling."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from tuneoff.models import greedy_decoding
from tuneoff.models.decoding import Rules
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import generates_rows_together
from tuneoff.models.sampling import Sampling, build_sampler
from tuneoff.models.stop_strings import build_stop_check, find_special_tokens
from tuneoff.models.token_trie import TokenTrie, build_constraint


@torch.no_grad()
def generate(
    model: LanguageModel,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    *,
    max_new_tokens: int,
    min_new_tokens: int = 0,
    beams: int = 1,
    ends: Sequence[int] = (),
    stops: Sequence[str] = (),
    sampling: Sampling | None = None,
    allowed: TokenTrie | None = None,
) -> Tensor:
    """Return the tokens that the model writes after each prompt, (B, N), padded on the right.

    Several samples of a prompt are neighboring rows, (B * samples, N).

    Args:
        tokens_BT: prompts, padded on the left.
        attention_BT: true for a token, false for padding.
        beams: 1 for greedy decoding.
        ends: ids of tokens that end a row, besides the model's own end tokens.
        stops: strings that end a row once its text has one of them. The tokens include the string.
        sampling: how tokens are sampled; None: the most likely token follows.
        allowed: the sequences, each with an end token, of which each row becomes one; None: any.
    """
    attention_BT = attention_BT.long()
    network = model.base
    end_ids = sorted({*_list_ids(network.generation_config.eos_token_id), *ends})
    end_ids = sorted({*end_ids, *(find_special_tokens(model.tokenizer, stops) if stops else ())})
    options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens}
    rules = _build_rules(model, tokens_BT, attention_BT, max_new_tokens, stops, sampling, allowed)
    samples = sampling.samples if sampling else 1
    theirs = {**options, "num_beams": beams, "eos_token_id": end_ids or None}
    repeated = _repeat(samples, tokens_BT, attention_BT)
    if model.outer_adapter and model.outer_adapter.needs_own_generate:
        return _generate_row_by_row(model, *repeated, None, theirs, rules)
    prompt_PD = compute_prompt(model)
    if beams > 1 or not can_use_own_decoding(model, attention_BT, prompt_PD, max_new_tokens):
        if len(tokens_BT) > 1 and not _generates_together(model):
            return _generate_row_by_row(model, *repeated, prompt_PD, theirs, rules)
        return generate_with_transformers(model, *repeated, prompt_PD, theirs, rules)
    return greedy_decoding.generate(
        network,
        partial(compute_last_logits, model),
        tokens_BT,
        attention_BT,
        prompt_PD=prompt_PD,
        ends=end_ids,
        pad=network.generation_config.pad_token_id,
        rules=rules,
        samples=samples,
        **options,
    )


def _generates_together(model: LanguageModel) -> bool:
    """Return whether the network may get several rows at once, which is tried once for each model."""
    if model.generates_together is None:
        model.generates_together = generates_rows_together(model.base)
    return model.generates_together


def compute_prompt(model: LanguageModel) -> Tensor | None:
    """Return the soft prompt's vectors in the type of the model's embeddings, (P, D), or None without a soft prompt."""
    prompt_PD = model.compute_prompt()
    return None if prompt_PD is None else prompt_PD.to(model.base.get_input_embeddings().weight.dtype)


def can_use_own_decoding(
    model: LanguageModel, attention_BT: Tensor, prompt_PD: Tensor | None, max_new_tokens: int
) -> bool:
    """Return whether our own decoding, which stores each prompt's keys and values, fits the model and these prompts.

    It puts a soft prompt before the padding, and a layer with a short window would count the padding.
    """
    if not greedy_decoding.can_generate(model.base):
        return False
    if prompt_PD is None or bool(attention_BT.all()):
        return True
    return greedy_decoding.sees_all_positions(model.base, attention_BT.shape[1] + max_new_tokens + len(prompt_PD))


def _build_rules(
    model: LanguageModel,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    max_new_tokens: int,
    stops: Sequence[str],
    sampling: Sampling | None,
    allowed: TokenTrie | None,
) -> Rules:
    adjustments = [build_constraint(allowed, model.base.generation_config.pad_token_id)] if allowed else []
    if sampling:  # among what is allowed, so it comes last
        adjustments.append(build_sampler(sampling, tokens_BT, attention_BT, max_new_tokens))
    return Rules(adjustments=adjustments, is_stopped=build_stop_check(model.tokenizer, stops) if stops else None)


def _list_ids(ids: int | Sequence[int] | None) -> Sequence[int]:
    """Return end tokens as a list, whichever way transformers has them."""
    return [ids] if isinstance(ids, int) else ids or []


def _repeat(samples: int, tokens_BT: Tensor, attention_BT: Tensor) -> tuple[Tensor, Tensor]:
    return tokens_BT.repeat_interleave(samples, dim=0), attention_BT.repeat_interleave(samples, dim=0)


def compute_last_logits(model: LanguageModel, **inputs: Any) -> Tensor:
    """Return the logits, (B, V), after each row's last position.

    The head gets (B, D): for (B, 1, D), a slice, PyTorch would copy the head's weight once for each row.
    """
    narrowed = model.narrow_head(lambda hidden_BTD: hidden_BTD[:, -1])
    with narrowed if model.split_head else contextlib.nullcontext():
        logits = model.base(**inputs).logits
    return cast(Tensor, logits if model.split_head else logits[:, -1])


def generate_with_transformers(
    model: LanguageModel,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    prompt_PD: Tensor | None,
    options: dict[str, Any],
    rules: Rules = greedy_decoding.NO_RULES,
    rows_B: Tensor | None = None,
) -> Tensor:
    """Return what transformers' own `generate` writes after each prompt, (B, new tokens).

    The soft prompt goes between a row's padding and its text. Before the padding, as peft puts it, it would shift the
    logits of every padded row.
    """
    start = tokens_BT.shape[1] if prompt_PD is None else 0  # with embeddings, its processors see the new tokens alone
    options = {**options, "do_sample": False, **rules.list_options(start, rows_B)}
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
    model: LanguageModel,
    tokens_BT: Tensor,
    attention_BT: Tensor,
    prompt_PD: Tensor | None,
    options: dict[str, Any],
    rules: Rules,
) -> Tensor:
    """Return what `generate` writes after each prompt alone, where padding would change it.

    Without a soft prompt it is the network's own `generate`, which also applies an adapter around the model.
    """
    rows = []
    for number, (row, mask) in enumerate(zip(tokens_BT, attention_BT.bool(), strict=True)):
        prompt_1T = row[mask][None]
        row_1 = torch.tensor([number], device=tokens_BT.device)
        if prompt_PD is not None:
            alone = prompt_1T, torch.ones_like(prompt_1T), prompt_PD, options
            rows.append(generate_with_transformers(model, *alone, rules, row_1)[0])
            continue
        generated_1T = model.network.generate(
            input_ids=prompt_1T,
            attention_mask=torch.ones_like(prompt_1T),
            do_sample=False,
            **options,
            **rules.list_options(prompt_1T.shape[1], row_1),
            **model.make_adapter_inputs(1),
        )
        rows.append(generated_1T[0, prompt_1T.shape[1] :])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.tokenizer.pad_token_id)

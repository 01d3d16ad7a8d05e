"""Tests on two short random rows whether a model allows the shortcuts that save work."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tuneoff.models.language_model import LanguageModel


@torch.no_grad()
def can_split_head(network: Any) -> bool:
    """Return whether a head that sees only some positions gives the logits that the model itself gives there.

    Both agree up to the rounding of a matrix product of another shape. A model that does more than apply a head after
    its trunk would not agree.
    """
    rows = _make_rows(network)
    models = [LanguageModel(network, None, "", split_head=split) for split in (True, False)]
    try:
        narrowed, own = (model.eval().logits(*rows) for model in models)
    except (IndexError, RuntimeError, TypeError, AttributeError, ValueError):
        return False  # the model's code does not accept a narrowed head input
    return _are_close(narrowed, own)


@torch.no_grad()
def can_reuse_trunk(model: LanguageModel) -> bool:
    """Return whether `logits` are the same when the result of `trunk` replaces the frozen part of the network.

    A model may need more from its frozen part than the hidden states.
    """
    rows = _make_rows(model.network)
    try:
        own, reused = model.eval().logits(*rows), model.logits(*rows, model.trunk(*rows))
    except (IndexError, RuntimeError, TypeError, AttributeError, ValueError, KeyError):
        return False
    return _are_close(reused, own)


@torch.no_grad()
def is_causal(network: Any) -> bool:
    """Return whether a token changes no logits before its own position."""
    tokens_BT, attention_BT, _ = _make_rows(network)
    tokens_1T, ones_1T = tokens_BT[:1], torch.ones_like(attention_BT[:1])
    changed_1T = tokens_1T.clone()
    changed_1T[:, -1] = (changed_1T[:, -1] + 1) % network.get_input_embeddings().num_embeddings
    own, changed = (
        network(input_ids=tokens, attention_mask=ones_1T, use_cache=False).logits for tokens in (tokens_1T, changed_1T)
    )
    return _are_close(changed[0, :-1], own[0, :-1])


@torch.no_grad()
def writes_by_its_logits(network: Any) -> bool:
    """Return whether transformers' `generate` chooses the next token by the logits at the last one.

    XLM appends a token that stands for the next one, and is not trained to predict it from those before.
    """
    tokens_1T = _make_rows(network)[0][:1]
    inputs = {"input_ids": tokens_1T, "attention_mask": torch.ones_like(tokens_1T)}
    generated = network.generate(
        **inputs, max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    return _are_close(generated.logits[0], network(**inputs, use_cache=False).logits[:, -1])


@torch.no_grad()
def generates_rows_together(network: Any) -> bool:
    """Return whether transformers' `generate` gives several rows, padded on the left, what each would get alone.

    In a recurrent model padding may change the state, some position biases count it, and some models mix up the states
    of the rows (RWKV in transformers 5).
    """
    tokens_BT, _, _ = _make_rows(network)
    attention_BT = torch.ones_like(tokens_BT)
    attention_BT[1, :3] = 0
    new_tokens = 3
    generated = network.generate(
        input_ids=tokens_BT,
        attention_mask=attention_BT,
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    together_BNV = torch.stack(generated.logits, dim=1)
    for row, mask, together_NV in zip(generated.sequences, attention_BT.bool(), together_BNV, strict=True):
        text_1T = torch.cat([row[: len(mask)][mask], row[len(mask) :]])[None]
        alone = network(input_ids=text_1T, attention_mask=torch.ones_like(text_1T), use_cache=False).logits
        if not _are_close(together_NV, alone[0, -new_tokens - 1 : -1]):
            return False
    return True


def _make_rows(network: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, attention and scored positions of two short random rows, one of them padded."""
    vocabulary = network.get_input_embeddings().num_embeddings
    tokens_BT = torch.randint(vocabulary, (2, 9), generator=torch.Generator().manual_seed(0)).to(network.device)
    attention_BT = torch.ones_like(tokens_BT)
    attention_BT[1, 6:] = 0
    scored_BT = attention_BT.bool()
    scored_BT[:, :3] = False
    return tokens_BT, attention_BT, scored_BT


def _are_close(logits_NV: Tensor, own_NV: Tensor) -> bool:
    # The kernel for another shape sums in another order. Observed differences are 1e-5 of the largest logit in float32
    # and one rounding step in bf16. A head that did anything else would differ by far more.
    # `generate` returns float32 whatever it computed with.
    tolerance = max(2 * torch.finfo(own_NV.dtype).eps, 1e-4) * float(own_NV.abs().max())
    return logits_NV.shape == own_NV.shape and torch.allclose(logits_NV.float(), own_NV.float(), rtol=0, atol=tolerance)

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
    tolerance = max(2 * torch.finfo(own_NV.dtype).eps, 1e-4) * float(own_NV.abs().max())
    return logits_NV.shape == own_NV.shape and torch.allclose(logits_NV, own_NV, rtol=0, atol=tolerance)

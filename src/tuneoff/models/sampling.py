"""Sampling tokens at a temperature, with random numbers that belong to a prompt and not to a batch.

Each sample of each prompt has its own stream of uniform numbers, made from the seed, the number of the sample and the
prompt's tokens. So what is sampled depends neither on the order nor on the size of the batches, and two models that
answer the same prompt get the same numbers.

Shapes: B prompts, T positions, S rows (samples of all prompts), R rows that are not removed yet, N new tokens,
V vocabulary.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from tuneoff.models.decoding import Adjust
from tuneoff.models.precision import get_float64_device, to_float64


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are sampled.

    Args:
        temperature: divides the logits; above zero.
        top_p: sample from the fewest tokens whose probabilities sum to at least this; None: from all.
        top_k: sample from this many tokens of the highest probability; None: from all.
        samples: texts for each prompt.
        seed: decides all random numbers, together with the prompt.
    """

    temperature: float = 1.0
    top_p: float | None = None
    top_k: int | None = None
    samples: int = 1
    seed: int = 0


def build_sampler(sampling: Sampling, tokens_BT: Tensor, attention_BT: Tensor, max_new_tokens: int) -> Adjust:
    """Return a function that leaves only the sampled token possible, in each row.

    A prompt's samples are neighboring rows.

    Args:
        tokens_BT: prompts, with padding.
        attention_BT: true for a token, false for padding.
    """
    uniform_SN = draw_uniform(sampling, tokens_BT, attention_BT, max_new_tokens)
    uniform_SN = uniform_SN.to(get_float64_device(tokens_BT.device))
    warpers = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k is not None:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        warpers.append(TopPLogitsWarper(sampling.top_p))

    def keep_sampled(logits_RV: Tensor, tokens_RN: Tensor, rows_R: Tensor) -> Tensor:
        warped_RV = logits_RV
        for warper in warpers:
            warped_RV = warper(tokens_RN, warped_RV)
        sums_RV = to_float64(warped_RV).softmax(dim=-1).cumsum(dim=-1)
        drawn_R1 = uniform_SN[rows_R.to(uniform_SN.device), tokens_RN.shape[1]][:, None] * sums_RV[:, -1:]
        # the first token whose sum exceeds the drawn number, so never one of probability zero
        sampled_R1 = torch.searchsorted(sums_RV, drawn_R1, right=True).clamp(max=sums_RV.shape[1] - 1)
        return torch.full_like(logits_RV, -torch.inf).scatter(1, sampled_R1.to(logits_RV.device), 0.0)

    return keep_sampled


def draw_uniform(sampling: Sampling, tokens_BT: Tensor, attention_BT: Tensor, max_new_tokens: int) -> Tensor:
    """Return a number in [0, 1) for each new token of each sample, (S, N), in float64."""
    draws = [
        _build_generator(sampling.seed, sample, tokens[mask].tolist()).random(max_new_tokens)
        for tokens, mask in zip(tokens_BT.cpu(), attention_BT.bool().cpu(), strict=True)
        for sample in range(sampling.samples)
    ]
    return torch.from_numpy(np.stack(draws))


def _build_generator(seed: int, sample: int, prompt: list[int]) -> np.random.Generator:
    digest = hashlib.sha256(np.array(prompt, dtype=np.int64).tobytes()).digest()
    return np.random.default_rng([seed, sample, int.from_bytes(digest[:16])])

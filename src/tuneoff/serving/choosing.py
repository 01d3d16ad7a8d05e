"""Which token follows, by what a request says about sampling.

Shapes: V vocabulary.
"""

from __future__ import annotations

import secrets
from collections import Counter

import torch
from torch import Tensor

from tuneoff.models.sampling import Sampling as SamplingRule
from tuneoff.models.sampling import build_sampler
from tuneoff.serving.requests import Alternatives, Request

SEED_BITS = 63


class Chooser:
    """Chooses the tokens of one answer, one after another."""

    def __init__(self, request: Request) -> None:
        self.sampling = request.sampling
        self._counts: Counter[int] = Counter()
        prompt_1T = torch.tensor([request.prompt_ids])
        self._keep_sampled = None
        if self.sampling.temperature > 0 and self.sampling.max_tokens > 0:
            seed = secrets.randbits(SEED_BITS) if self.sampling.seed is None else self.sampling.seed
            rule = SamplingRule(
                temperature=self.sampling.temperature,
                top_p=self.sampling.top_p if self.sampling.top_p < 1 else None,
                seed=seed,
            )
            everything_1T = torch.ones_like(prompt_1T)
            self._keep_sampled = build_sampler(rule, prompt_1T, everything_1T, self.sampling.max_tokens)

    def choose(self, logits_V: Tensor) -> int:
        """Return the next token."""
        logits_V = self._penalize(logits_V)
        if self._keep_sampled is not None:
            chosen_1N = logits_V.new_zeros(1, self._counts.total(), dtype=torch.long)
            first_1 = torch.zeros(1, dtype=torch.long, device=logits_V.device)
            logits_V = self._keep_sampled(logits_V[None], chosen_1N, first_1)[0]
        token = int(logits_V.argmax())
        self._counts[token] += 1
        return token

    def _penalize(self, logits_V: Tensor) -> Tensor:
        presence, frequency = self.sampling.presence_penalty, self.sampling.frequency_penalty
        if not self._counts or not (presence or frequency):
            return logits_V
        tokens = torch.tensor(list(self._counts), device=logits_V.device)
        times = torch.tensor(list(self._counts.values()), device=logits_V.device)
        return logits_V.index_add(0, tokens, -(presence + frequency * times).to(logits_V))


def describe_choice(logits_V: Tensor, token: int, alternatives: int) -> tuple[float, Alternatives]:
    """Return the log-probability that the model gives a token, and its most likely tokens."""
    logprobs_V = logits_V.log_softmax(dim=-1)
    best = logprobs_V.topk(min(alternatives, len(logprobs_V)))
    return float(logprobs_V[token]), tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))

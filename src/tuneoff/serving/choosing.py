"""Which token follows, by what a request says about sampling.

Shapes: V vocabulary.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor

from tuneoff.models.decoding import Adjust
from tuneoff.models.sampling import Sampling as SamplingRule
from tuneoff.models.sampling import build_sampler
from tuneoff.models.token_trie import TokenTrie, build_constraint
from tuneoff.serving.requests import Alternatives, Request

SEED_BITS = 63


class Chooser:
    """Chooses the tokens of one answer, one after another.

    Args:
        ends: ids of the tokens that end the answer.
    """

    def __init__(self, request: Request, ends: Collection[int]) -> None:
        self.sampling = request.sampling
        self._ends = list(ends)
        self._tokens: list[int] = []
        self._keep_allowed: Adjust | None = None
        self._keep_sampled: Adjust | None = None
        choice = self.sampling.labels
        if choice is not None and not choice.by_likelihood:
            self.allow_only(choice.labels.name_by_tokens)
        if self.sampling.temperature > 0 and self.sampling.max_tokens > 0:
            prompt_1T = torch.tensor([request.prompt_ids])
            seed = secrets.randbits(SEED_BITS) if self.sampling.seed is None else self.sampling.seed
            rule = SamplingRule(
                temperature=self.sampling.temperature,
                top_p=self.sampling.top_p if self.sampling.top_p < 1 else None,
                top_k=self.sampling.top_k,
                seed=seed,
            )
            everything_1T = torch.ones_like(prompt_1T)
            self._keep_sampled = build_sampler(rule, prompt_1T, everything_1T, self.sampling.max_tokens)

    def allow_only(self, sequences: Iterable[Sequence[int]]) -> None:
        """Let the answer become nothing but one of these sequences, each of which ends with an end token."""
        self._keep_allowed = build_constraint(TokenTrie(sequences), pad=0)

    def choose(self, logits_V: Tensor) -> int:
        """Return the next token."""
        if len(self._tokens) < self.sampling.min_tokens:
            logits_V = logits_V.index_fill(0, torch.tensor(self._ends, device=logits_V.device), -torch.inf)
        logits_V = self._penalize(logits_V)
        for adjust in (self._keep_allowed, self._keep_sampled):
            if adjust is not None:
                chosen_1N = torch.tensor([self._tokens], dtype=torch.long, device=logits_V.device)
                first_1 = torch.zeros(1, dtype=torch.long, device=logits_V.device)
                logits_V = adjust(logits_V[None], chosen_1N, first_1)[0]
        token = int(logits_V.argmax())
        self._tokens.append(token)
        return token

    def _penalize(self, logits_V: Tensor) -> Tensor:
        presence, frequency = self.sampling.presence_penalty, self.sampling.frequency_penalty
        if not self._tokens or not (presence or frequency):
            return logits_V
        counts = Counter(self._tokens)
        tokens = torch.tensor(list(counts), device=logits_V.device)
        times = torch.tensor(list(counts.values()), device=logits_V.device)
        return logits_V.index_add(0, tokens, -(presence + frequency * times).to(logits_V))


def describe_choice(logits_V: Tensor, token: int, alternatives: int) -> tuple[float, Alternatives]:
    """Return the log-probability that the model gives a token, and its most likely tokens."""
    logprobs_V = logits_V.log_softmax(dim=-1)
    best = logprobs_V.topk(min(alternatives, len(logprobs_V)))
    return float(logprobs_V[token]), tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))

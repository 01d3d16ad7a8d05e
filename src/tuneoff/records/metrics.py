"""The metrics. A new one is one entry in `METRICS`: evaluation, search, analysis and report read that table.

A metric of the generated text can be computed from the reference and the prediction of each example, so it also scores
runs that were made before it existed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuneoff.config.verdict import VerdictOptions
from tuneoff.records.record import Prediction


@dataclass(frozen=True, kw_only=True)
class TypicalNoise:
    """How much scores varied in a comparison that was made, as standard deviations in the unit of the metric."""

    seed_sd: float  # of a method's score between runs
    example_sd: float  # over test examples, of the difference between two trained methods' scores
    base_sd: float  # over test examples, of the base model's scores


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A score on a split: the sum of `value` over its examples divided by the sum of `weight`, times `scale`.

    The value must be in `bounds` and finite, or the run's answers are refused as damaged.
    """

    name: str  # as in `search.metric`, in `Record.scores` and in CSV
    title: str
    unit: str
    meaning: str  # one sentence, shown with the column
    higher_is_better: bool
    needs_generation: bool  # False: computed from the loss alone, without generating text
    decimals: int  # when shown, in `unit`
    margin: Callable[[VerdictOptions], float]  # the smallest difference that matters in practice, in `unit`
    value: Callable[[Prediction], float]  # of one example, as records store it
    weight: Callable[[Prediction], float] = lambda _: 1.0
    scale: float = 1.0  # from the value in a record to `unit`
    bounds: tuple[float, float] = (-math.inf, math.inf)
    noise: TypicalNoise | None = None  # what `tuneoff plan` assumes where nothing is measured; None: not known

    def compute_mean(self, predictions: Sequence[Prediction]) -> float:
        """The score of a split as `Record.scores` stores it, which is before `scale`."""
        return sum(map(self.value, predictions)) / sum(map(self.weight, predictions))

    def can_score(self, prediction: Prediction) -> bool:
        """Return whether the stored prediction has a possible value and a positive weight."""
        low, high = self.bounds
        try:
            value = self.value(prediction)
        except KeyError:  # a record without checksums may lack a stored score
            return False
        return math.isfinite(value) and low <= value <= high and self.weight(prediction) > 0


def compute_perplexity(nats_per_token: float) -> float:
    """Return e to the power of the loss, or infinity where a float would overflow (above 709)."""
    return math.exp(nats_per_token) if nats_per_token < 700 else math.inf


def _rouge(name: str, title: str, meaning: str) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit="F1 × 100",
        meaning=f"{meaning}: F1 × 100, mean over test examples.",
        higher_is_better=True,
        needs_generation=True,
        decimals=1,
        margin=lambda options: options.margin_rouge,
        value=lambda p: p.rouge[name],
        scale=100.0,
        bounds=(0.0, 1.0),
        noise=TypicalNoise(seed_sd=1.2, example_sd=10, base_sd=7.2),  # ROUGE-L of the recipe fair: docs/how-to/plan.md
    )


ROUGE_L = _rouge("rougeL", "ROUGE-L", "Longest common subsequence of words with the reference")
LOSS = Metric(
    name="loss",
    title="Evaluation loss",
    unit="nats per target token",
    meaning="Cross-entropy on the test split in nats per target token. Lower is better.",
    higher_is_better=False,
    needs_generation=False,
    decimals=3,
    margin=lambda options: options.margin_loss,
    value=lambda p: p.loss,
    weight=lambda p: p.target_tokens,
    noise=TypicalNoise(seed_sd=0.03, example_sd=0.2, base_sd=0.78),  # of the recipe fair: docs/how-to/plan.md
)

METRICS: dict[str, Metric] = {  # in the order of the leaderboard's columns
    metric.name: metric
    for metric in (
        ROUGE_L,
        _rouge("rouge1", "ROUGE-1", "Overlap of single words with the reference"),
        _rouge("rouge2", "ROUGE-2", "Overlap of word pairs with the reference"),
        _rouge("rougeLsum", "ROUGE-Lsum", "ROUGE-L computed line by line, for summaries of several lines"),
        LOSS,
    )
}

"""Comparisons with each kind of outcome: a winner, a tie, an open question, single runs, lost runs, disagreement."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.analysis.simulation import Array, make_comparison
from tests.report.synthetic import judge_records
from tuneoff.analysis.comparison import Comparison
from tuneoff.records.record import Record


def draw_scores(mean: float, seeds: int = 3, seed_effect: float = 0.0, examples: int = 40) -> Array:
    """Draw ROUGE scores, seed by example, with exactly this mean; examples are as difficult for every method."""
    generator = np.random.default_rng([round(100 * mean), seeds, examples])
    noise_SE = generator.normal(0, 1, size=(seeds, examples)) + generator.normal(0, seed_effect, size=(seeds, 1))
    difficulty_E = np.random.default_rng(5).normal(0, 8, size=examples)
    return np.asarray(mean + difficulty_E - difficulty_E.mean() + noise_SE - noise_SE.mean())


def make_outcome(
    seeds: int = 3, seed_effect: float = 0.0, verdict: Mapping[str, Any] | None = None, **means: float
) -> Comparison:
    """Make a comparison of methods with these mean scores and of a base model with 13."""
    scores = {label.replace("_", "-"): draw_scores(mean, seeds, seed_effect) for label, mean in means.items()}
    return make_comparison({"base": draw_scores(13, 1), **scores}, **(verdict or {}))


def make_winner(seeds: int = 3, **verdict: Any) -> Comparison:
    """LoRA far above the others."""
    return make_outcome(seeds, verdict=verdict, lora=24, full=22, soft_prompt=18)


def make_tie(**verdict: Any) -> Comparison:
    """LoRA and full tuning equal within the margin."""
    return make_outcome(5, verdict=verdict, lora=24.1, full=24, soft_prompt=18)


def make_open(seeds: int = 3, **verdict: Any) -> Comparison:
    """LoRA and full tuning apart by less than the noise between seeds."""
    return make_outcome(seeds, 0.7, verdict, lora=24.4, full=24, soft_prompt=18)


def make_single_runs() -> Comparison:
    """One run of each method."""
    return make_outcome(1, lora=23.1, full=21, soft_prompt=18)


def make_disagreement() -> Comparison:
    """LoRA best by ROUGE, with a loss above full tuning's."""
    return add_loss(make_winner(), "lora", 0.5)


def lose_runs(comparison: Comparison, label: str, count: int, status: str = "diverged") -> Comparison:
    """Judge again with the first `count` runs of a method lost. With the status `done` they collapse."""
    ids = [record.trial.id for record in comparison.run.records if record.trial.label == label][:count]
    records = [_lose(r, status) if r.trial.id in ids else r for r in comparison.run.records]
    return judge_records(comparison.run, records)


def _lose(record: Record, status: str) -> Record:
    if status == "done":
        return record.model_copy(update={"scores": {**record.scores, "validation/loss": 99.0}})
    lost = {"status": status, "reason": "the train loss is not finite", "scores": {}, "predictions": ()}
    return record.model_copy(update=lost)


def add_loss(comparison: Comparison, label: str, *nats: float) -> Comparison:
    """Judge again with a higher loss of a method: the same for all runs, or one for each of them."""
    added = dict(enumerate(nats)) if len(nats) > 1 else {}
    records = [
        _add_loss(r, added.get(r.trial.seed, nats[0])) if r.trial.label == label else r for r in comparison.run.records
    ]
    return judge_records(comparison.run, records)


def _add_loss(record: Record, nats: float) -> Record:
    predictions = tuple(p.model_copy(update={"loss": p.loss + nats * p.target_tokens}) for p in record.predictions)
    return record.model_copy(update={"predictions": predictions})


def relabel(comparison: Comparison, labels: Mapping[str, str]) -> Comparison:
    """Judge again with other labels."""

    def rename(record: Record) -> Record:
        label = labels.get(record.trial.label, record.trial.label)
        return record.model_copy(update={"trial": record.trial.model_copy(update={"label": label})})

    return judge_records(comparison.run, [rename(record) for record in comparison.run.records])

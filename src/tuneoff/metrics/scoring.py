"""Score the answers of a split by several metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tuneoff.errors import MetricError
from tuneoff.metrics.metric import Answer, Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleScores:
    """The scores of one example by metric, as `Prediction` stores them."""

    scores: dict[str, float]
    weights: dict[str, float]  # of the metrics that do not count every example as 1


def score_answers(metrics: Iterable[Metric], answers: Sequence[Answer]) -> list[ExampleScores]:
    """Return the scores of each example by the metrics that score answers.

    Raises:
        MetricError: a metric returned an impossible value. The message names the example.
    """
    results = [ExampleScores(scores={}, weights={}) for _ in answers]
    for metric in metrics:
        if metric.score is None or not answers:
            continue
        scored = metric.score(answers)
        weights = scored.weights or [1.0] * len(answers)
        for i, (result, value, weight) in enumerate(zip(results, scored.values, weights, strict=True)):
            if not metric.is_possible(value, weight):
                raise MetricError(f"{metric.name} of example {i} is {value} with weight {weight}, which cannot be.")
            result.scores[metric.name] = value
            if scored.weights is not None:
                result.weights[metric.name] = weight
    return results

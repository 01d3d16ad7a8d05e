"""Metrics whose score of an example depends on that example alone: the best score over its references."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from tuneoff.metrics.metric import Answer, Metric, Scores
from tuneoff.metrics.percent import make_percent_metric

Compare = Callable[[str, str], float]  # a prediction and a reference to a score in [0, 1]


def make_share_metric(
    *,
    name: str,
    title: str,
    meaning: str,
    score: Callable[[Answer], float],
    unit: str = "% of examples",
    margin: float = 1.0,
    reads_as: Callable[[str], Hashable] | None = None,
    is_all_or_nothing: bool = True,
) -> Metric:
    """Return a metric from a score in [0, 1] of each example, which is shown × 100."""

    def score_all(answers: Sequence[Answer]) -> Scores:
        return Scores(values=[float(score(answer)) for answer in answers])

    return make_percent_metric(
        name=name,
        title=title,
        unit=unit,
        meaning=meaning,
        score=score_all,
        margin=margin,
        is_all_or_nothing=is_all_or_nothing,
        reads_as=reads_as,
    )


def take_best(compare: Compare) -> Callable[[Answer], float]:
    """Return the score of an answer as the best one over its references."""
    return lambda answer: max(compare(answer.prediction, reference) for reference in answer.references)

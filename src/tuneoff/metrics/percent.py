"""Metrics in percent: the values of examples are in [0, 1], or have their mean there, and are shown × 100."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from tuneoff.config.verdict import VerdictOptions
from tuneoff.metrics.metric import Answer, Metric, Scores, TypicalNoise


def make_percent_metric(
    *,
    name: str,
    title: str,
    meaning: str,
    score: Callable[[Sequence[Answer]], Scores],
    unit: str = "% of examples",
    margin: float | Callable[[VerdictOptions], float] = 1.0,
    is_all_or_nothing: bool = False,
    depends_on_split: bool = False,
    reads_as: Callable[[str], Hashable] | None = None,
    noise: TypicalNoise | None = None,
) -> Metric:
    """Return a metric of generated text in percent, of which more is better."""
    return Metric(
        name=name,
        title=title,
        unit=unit,
        meaning=meaning,
        higher_is_better=True,
        needs="text",
        decimals=1,
        margin=margin if callable(margin) else lambda _: margin,
        score=score,
        scale=100.0,
        bounds=(0.0, 1.0),
        is_all_or_nothing=is_all_or_nothing,
        depends_on_split=depends_on_split,
        reads_as=reads_as,
        noise=noise,
    )

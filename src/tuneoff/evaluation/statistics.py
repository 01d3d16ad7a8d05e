"""Intervals over test examples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its 95 % bootstrap interval over examples."""

    mean: float
    low: float
    high: float
    examples: int


def ratio_of_sums(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Sum over examples, then one division, with an interval that resamples whole examples.

    A plain mean is the ratio whose denominators are all one. The resampling is seeded, so that a report made
    again shows the same digits.

    Args:
        numerators: one number per example, such as its summed loss.
        denominators: one number per example, such as its target tokens.

    Source: Efron's percentile bootstrap, as scipy.stats.bootstrap has it.
    """
    from scipy.stats import bootstrap

    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    mean = float(top.sum() / bottom.sum())
    if len(top) < 2:  # one example says nothing about the spread of examples
        return Estimate(mean=mean, low=mean, high=mean, examples=len(top))
    interval = bootstrap(
        (top, bottom),
        lambda t, b, axis: t.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=RESAMPLES,
        batch=100,  # all at once would hold 2,000 copies of the split
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(mean=mean, low=float(interval.low), high=float(interval.high), examples=len(top))

"""Pass at k: the chance that at least one of k samples is right.

With n samples of which c are right, it is 1 - C(n - c, k) / C(n, k), the mean over all choices of k of them. Counting
whether one of the first k is right has the same mean and more noise; 1 - (1 - c / n)^k is biased.

Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", section 2.1, arXiv:2107.03374.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

from tuneoff.errors import MetricError, RecipeError
from tuneoff.metrics.metric import Metric


def read_name(name: str) -> tuple[str, int] | None:
    """Return the metric and k of a name such as `exact@5`; None for any other name."""
    match = re.fullmatch(r"(\w+)@([1-9]\d{0,3})", name)
    return (match[1], int(match[2])) if match else None


@cache  # the same metric is the same object
def make_pass_at_k(metric: Metric, k: int) -> Metric:
    """Return the metric's chance of a full score in k samples, of which a prompt has at least as many.

    Args:
        metric: it gives a right answer the highest value of its bounds, as exact match does.

    Raises:
        RecipeError: the metric has no full score, or that of an example depends on the others.
    """
    if metric.score is None or metric.depends_on_split or not math.isfinite(metric.bounds[1]):
        raise RecipeError(f"{metric.name}@{k}: {metric.name} has no full score of a single text, so no chance of it.")
    name = f"{metric.name}@{k}"
    return replace(
        metric,
        name=name,
        title=f"{metric.title}, pass@{k}",
        meaning=f"Chance that at least one of {k} samples has a full score: {metric.meaning}",
        combine=partial(_combine, name, k, metric.bounds[1]),
        noise=None,
    )


def estimate_pass_at_k(samples: int, right: int, k: int) -> float:
    """Return the unbiased estimate of the chance that one of k samples is right."""
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def _combine(name: str, k: int, full: float, values: Sequence[float]) -> float:
    if len(values) < k:
        raise MetricError(
            f"{name} needs at least {k} samples of each prompt, and there are {len(values)}. Set "
            f"evaluation.generation.samples: {k} or more, and a temperature."
        )
    return full * estimate_pass_at_k(len(values), sum(value >= full for value in values), k)

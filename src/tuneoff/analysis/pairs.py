"""Pairwise comparison of methods by one metric: differences with simultaneous intervals, and a decision for each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tuneoff.analysis.family import PairedDifference, compare_all
from tuneoff.analysis.row import Row
from tuneoff.analysis.statistics import Estimate
from tuneoff.config.verdict import VerdictOptions
from tuneoff.metrics import Metric
from tuneoff.recipe.recipe import Recipe
from tuneoff.search.history import Search

# "matters": better by more than the margin. "better": better beyond noise, and perhaps by more than the margin.
# "equal": any difference is within the margin. "open": none of these is shown.
Decision = Literal["matters", "better", "equal", "open"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods compared by one metric, paired over test examples and seeds."""

    metric: Metric
    better: Row
    other: Row
    difference: Estimate  # positive if `better` is better, whatever the metric's direction; simultaneous for all pairs
    p: float  # of no difference, adjusted for all pairs by the metric
    decision: Decision
    paired: PairedDifference = field(repr=False)  # `better` minus `other`, in the direction of the metric

    @property
    def is_beyond_noise(self) -> bool:
        """Whether `better` is shown to be better."""
        return self.decision in {"matters", "better"}


def compare_pairs(
    metric: Metric, rows: Sequence[Row], options: VerdictOptions, regrets: Mapping[str, float] | None = None
) -> tuple[Pair, ...]:
    """Compare every two of the rows, which are ranked by the metric, best first.

    Args:
        regrets: by label, how much a method might still gain by a better learning rate, in the metric's unit. An
            interval is extended by what either side might gain.
    """
    if len(rows) < 2:
        return ()
    differences = compare_all([row.matrices[metric.name] for row in rows])
    return tuple(
        build_pair(metric, rows[i], rows[j], differences[i, j], options, regrets or {})
        for i, j in itertools.combinations(range(len(rows)), 2)
    )


def find_regrets(recipe: Recipe, searches: Mapping[str, Search], metric: Metric) -> dict[str, float]:
    """How much each searched method might still gain, by label, if the search went by this metric."""
    if recipe.search is None or recipe.search.metric != metric.name:
        return {}
    return {label: found.regret for label, found in searches.items() if found.regret is not None}


def build_pair(
    metric: Metric,
    better: Row,
    other: Row,
    paired: PairedDifference,
    options: VerdictOptions,
    regrets: Mapping[str, float],
) -> Pair:
    """Judge the difference of two methods."""
    gain_of_better, gain_of_other = regrets.get(better.label, 0.0), regrets.get(other.label, 0.0)
    difference = estimate_lead(metric, paired, options.confidence, gain_of_better, gain_of_other)
    return Pair(
        metric=metric,
        better=better,
        other=other,
        difference=difference,
        p=paired.compute_p(options.confidence, shift=gain_of_other),
        decision=decide(difference, metric.get_margin(options)) if paired.knows_noise else "open",
        paired=paired,
    )


def estimate_lead(
    metric: Metric, paired: PairedDifference, confidence: float, gain_of_first: float = 0.0, gain_of_second: float = 0.0
) -> Estimate:
    """The difference between two methods, positive if the first is better; extended by what each might still gain."""
    difference = paired.estimate(confidence)
    if not metric.higher_is_better:
        difference = replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)
    low, high = difference.low - gain_of_second, difference.high + gain_of_first
    return replace(difference, low=max(low, -paired.largest), high=min(high, paired.largest))


def decide(difference: Estimate, margin: float) -> Decision:
    """Decide a pair from the interval of its difference alone, so that the two never disagree."""
    if difference.low > margin:
        return "matters"
    if -margin <= difference.low and difference.high <= margin:
        return "equal"
    return "better" if difference.low > 0 else "open"

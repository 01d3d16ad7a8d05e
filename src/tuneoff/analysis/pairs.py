"""Pairwise comparison of methods by one metric: paired differences, Holm's correction, and a decision for each pair."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tuneoff.analysis.row import Row, build_score_matrix
from tuneoff.analysis.statistics import Estimate, PairedDifference, compute_adjusted_p_values
from tuneoff.config.verdict import VerdictOptions
from tuneoff.records.metrics import Metric

Decision = Literal["different", "equal", "open"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods compared by one metric, paired over test examples; seeds are a second source of variance."""

    metric: Metric
    better: Row
    other: Row
    difference: Estimate  # positive if `better` is better, whatever the metric's direction
    p: float  # of no difference, after Holm's correction over all pairs by the metric
    decision: Decision
    paired: PairedDifference = field(repr=False)  # `better` minus `other`, to project to more seeds or examples


def compare_pairs(metric: Metric, rows: Sequence[Row], options: VerdictOptions) -> tuple[Pair, ...]:
    """Compare every two of the rows, which are ranked by the metric, best first.

    All pairs are compared at once because they share Holm's correction and the random sign flips.
    """
    row_pairs = list(itertools.combinations(rows, 2))
    if not row_pairs:
        return ()
    matrices = {row.label: build_score_matrix(row.finished, metric) for row in rows}
    differences = [PairedDifference(matrices[better.label], matrices[other.label]) for better, other in row_pairs]
    p_values = compute_adjusted_p_values(differences)
    return tuple(
        _build_pair(metric, better, other, paired, p, options)
        for (better, other), paired, p in zip(row_pairs, differences, p_values, strict=True)
    )


def _build_pair(
    metric: Metric, better: Row, other: Row, paired: PairedDifference, p: float, options: VerdictOptions
) -> Pair:
    difference = paired.estimate(options.confidence)
    if not metric.higher_is_better:
        difference = replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low)
    return Pair(
        metric=metric,
        better=better,
        other=other,
        difference=difference,
        p=p,
        decision=decide(difference, p, metric.margin(options), options.confidence)
        if has_known_seed_variance(better, other)
        else "open",
        paired=paired,
    )


def has_known_seed_variance(better: Row, other: Row) -> bool:
    """Return whether the interval of the difference covers the seed variance of both methods.

    It does not if one method was trained once and the other several times: the single run's seed variance is unknown,
    although the interval looks complete. If both were trained once, the comparison is of those two runs only, which the
    report says. The base model has no seed variance.
    """
    seed_counts = {len(row.finished) for row in (better, other) if not row.is_base}
    return 1 not in seed_counts or len(seed_counts) == 1


def decide(difference: Estimate, p: float, margin: float, confidence: float) -> Decision:
    """Decide a pair whose difference is positive.

    Returns:
        "different" if the interval and the p-value both exclude zero and the difference is at least the margin; "equal"
        if the interval lies within the margin on both sides, so that any remaining difference is too small to matter;
        "open" otherwise.
    """
    if difference.low > 0 and p < 1 - confidence and difference.mean >= margin:
        return "different"
    return "equal" if -margin <= difference.low and difference.high <= margin else "open"

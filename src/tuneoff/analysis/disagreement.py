"""Where another metric contradicts the verdict by the primary one."""

from __future__ import annotations

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.pairs import Pair


def find_disagreements(comparison: Comparison) -> Iterator[Pair]:
    """Yield for each metric that contradicts the primary one a pair that shows it.

    Its other row is the best by the primary metric.

    A metric contradicts if it shows its own best, or else the second best by the primary metric, to be better than
    the best by the primary metric.
    """
    ranked = comparison.rank(comparison.metric)
    for metric in comparison.metrics:
        own = comparison.rank(metric)
        if metric is comparison.metric or len(ranked) < 2 or not own:
            continue
        candidates = {own[0].label, ranked[1].label}
        pairs = [pair for pair in comparison.get_pairs(metric) if pair.other.label == ranked[0].label]
        shown = [pair for pair in pairs if pair.better.label in candidates and pair.is_beyond_noise]
        yield from shown[:1]  # of the best pair, because pairs are in the order of the ranking

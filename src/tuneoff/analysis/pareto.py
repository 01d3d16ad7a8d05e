"""The Pareto front of quality and cost. A difference in quality counts if it is decided, one in cost if it is more than
noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuneoff.analysis.costs import Cost
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row


def find_front(
    rows: Sequence[Row], cost: Cost, find_pair: Callable[[Row, Row], Pair], cost_same: Callable[[Row, Row], bool]
) -> frozenset[str]:
    """The labels of the rows that no other row dominates in quality and cost.

    Args:
        rows: with a score and with the cost.
        find_pair: the decided pair of two of them.
        cost_same: whether two of them cost the same.
    """

    def dominates(row: Row, other: Row) -> bool:
        """Return whether a row is better beyond noise and not more expensive, or shown to be equal and cheaper."""
        pair, same = find_pair(row, other), cost_same(row, other)
        cheaper = not same and get_price(row, cost) < get_price(other, cost)
        if pair.is_beyond_noise:
            return pair.better is row and (same or cheaper)
        return pair.decision == "equal" and cheaper

    return frozenset(row.label for row in rows if not any(dominates(other, row) for other in rows if other is not row))


def get_price(row: Row, cost: Cost) -> float:
    """The cost as a number of which less is better."""
    return -row.costs[cost.name] if cost.higher_is_better else row.costs[cost.name]

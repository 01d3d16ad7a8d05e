"""The Pareto front of quality and cost, where a difference in quality counts only if it is decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuneoff.analysis.costs import Cost
from tuneoff.analysis.pairs import Pair
from tuneoff.analysis.row import Row


def find_front(rows: Sequence[Row], cost: Cost, find_pair: Callable[[Row, Row], Pair]) -> frozenset[str]:
    """The labels of the rows that no other row dominates in quality and cost.

    Args:
        rows: with a score and with the cost.
        find_pair: the decided pair of two of them.
    """
    return frozenset(
        row.label
        for row in rows
        if not any(_dominates(other, row, cost, find_pair) for other in rows if other is not row)
    )


def _dominates(row: Row, other: Row, cost: Cost, find_pair: Callable[[Row, Row], Pair]) -> bool:
    """Return whether a row is better beyond noise and not more expensive, or shown to be equal and cheaper."""
    pair, extra_cost = find_pair(row, other), _get_price(row, cost) - _get_price(other, cost)
    if pair.is_beyond_noise:
        return pair.better is row and extra_cost <= 0
    return pair.decision == "equal" and extra_cost < 0


def _get_price(row: Row, cost: Cost) -> float:
    """The cost as a number of which less is better."""
    return -row.costs[cost.name] if cost.higher_is_better else row.costs[cost.name]

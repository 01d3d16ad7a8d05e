"""The cheapest of several rows: by the cost that the recipe names, and where they cost the same, by counted costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.analysis.pareto import get_price
from tuneoff.analysis.row import Row

TIE_BREAKS = ("trainable", "token_flops", "adapter_bytes")  # counted, so noise cannot decide


@dataclass(frozen=True, kw_only=True)
class Cheapest:
    """The cheapest row, and what made it so."""

    row: Row
    by: Cost | None  # that separated it from the last other rows; None: all of `same` cost the same by every cost used
    same: tuple[Row, ...]  # the rows that cost the same as the lowest by the cost that the recipe names


def find_cheapest(comparison: Comparison, rows: Sequence[Row]) -> Cheapest:
    """Find the cheapest of the rows; the first one if all cost the same.

    The rows that cost the same as the lowest go on to the next cost: the counted one behind the cost that the recipe
    names, then `TIE_BREAKS`.
    """
    named = COSTS[comparison.run.recipe.verdict.cheaper_by]
    remaining = same = keep_lowest(comparison, named, rows)
    by = named if len(same) < len(rows) else None
    for name in dict.fromkeys(filter(None, (named.counted_as, *TIE_BREAKS))):
        if len(remaining) == 1:
            break
        lowest = keep_lowest(comparison, COSTS[name], remaining)
        by = COSTS[name] if len(lowest) < len(remaining) else by
        remaining = lowest
    return Cheapest(row=remaining[0], by=by, same=same)


def keep_lowest(comparison: Comparison, cost: Cost, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows that cost the same as the lowest. A cost that was not measured is higher than any other."""
    lowest = min(rows, key=lambda row: _find_price(row, cost))
    if cost.name not in lowest.costs:
        price = _find_price(lowest, cost)
        return tuple(row for row in rows if _find_price(row, cost) == price)
    return tuple(row for row in rows if cost.name in row.costs and comparison.cost_same(cost, lowest, row))


def _find_price(row: Row, cost: Cost) -> float:
    """The price, which is infinite if unknown, and zero if it is one of training and the row trains nothing."""
    if cost.name not in row.costs:
        return 0.0 if not row.trains and cost.zero_without_training else math.inf
    return get_price(row, cost)

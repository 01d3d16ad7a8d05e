"""What the best method cost, and which of several methods is the cheapest."""

from collections.abc import Iterator, Sequence

from tuneoff.analysis.cheapest import find_cheapest
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.analysis.row import Row
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_cost, join_list
from tuneoff.report.sentences.names import name_row

PHRASES = {
    "train_seconds": "{} of training",
    "training_memory": "{} of peak memory",
    "adapter_bytes": "{} of disk space",
}


def describe_costs(comparison: Comparison) -> Iterator[str]:
    """Yield the time, memory and file size of the best method, unless that is the base model."""
    best = comparison.best
    if best is None or best.is_base:
        return
    amounts = [
        phrase.format(format_cost(COSTS[name], best.costs[name]))
        for name, phrase in PHRASES.items()
        if name in best.costs
    ]
    if amounts:
        per_seed = " per seed" if len(best.finished) > 1 else ""
        yield f"{escape_control(best.label)} needed {join_list(amounts)}{per_seed}."


def describe_cheapest(comparison: Comparison, rows: Sequence[Row]) -> str:
    """Return the end of a sentence: which of at least two rows is the cheapest, or that they cost the same.

    It is empty if the cost that the recipe names was not measured and nothing else tells the rows apart.
    """
    named, cheapest = COSTS[comparison.run.recipe.verdict.cheaper_by], find_cheapest(comparison, rows)
    name, by = name_row(cheapest.row), cheapest.by
    superlative = "cheaper of the two" if len(rows) == 2 else "cheapest of them"
    if named.name not in cheapest.row.costs and by is not named:
        return f"; {name} is the {superlative} ({_format_prices(by, [cheapest.row])})" if by else ""
    if len(cheapest.same) == 1:
        return f"; {name} is the {superlative} ({_format_prices(named, [cheapest.row])})"
    alike = "they" if len(cheapest.same) == len(rows) else join_list([name_row(row) for row in cheapest.same])
    others = ", less than the others" if len(cheapest.same) < len(rows) else ""
    same = f"; {alike} cost the same ({_format_prices(named, cheapest.same)}){others}"
    if by is None or by is named:
        return same
    amount = format_cost(by, cheapest.row.costs.get(by.name, 0.0))
    return f"{same}, and {name} is the {superlative} by {by.title.lower()} ({amount})"


def _format_prices(cost: Cost, rows: Sequence[Row]) -> str:
    """Format the cost of the rows, such as `training time: 14 s` or `training time: 14 s to 15 s`."""
    prices = sorted(row.costs.get(cost.name, 0.0) for row in rows)
    ends = dict.fromkeys(format_cost(cost, price) for price in (prices[0], prices[-1]))
    return f"{cost.title.lower()}: {' to '.join(ends)}"

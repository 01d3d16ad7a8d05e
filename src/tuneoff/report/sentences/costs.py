"""What the best method cost, and which of several methods is the cheapest."""

from collections.abc import Iterator, Sequence

from tuneoff.analysis.cheapest import find_cheapest, keep_lowest
from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS, Cost
from tuneoff.analysis.row import Row
from tuneoff.analysis.verdict import Verdict
from tuneoff.report.format import format_cost
from tuneoff.report.sentences.names import Names, capitalize_name

PHRASES = {
    "train_seconds": "{} of training",
    "training_memory": "{} of memory",
    "adapter_bytes": "{} on disk",
}


def describe_costs(verdict: Verdict, names: Names) -> str:
    """Return the time, memory and file size of the best method or, after a tie, of the cheapest of the best."""
    row = verdict.cheapest if verdict.kind == "tie" else verdict.best
    if not row.trains:
        return f"{capitalize_name(names.get(row))} costs no training."
    amounts = [
        phrase.format(format_cost(COSTS[name], row.costs[name]))
        for name, phrase in PHRASES.items()
        if name in row.costs
    ]
    return f"Cost of {names.get(row)}: {', '.join(amounts) or 'not measured'}."


def describe_cheapest(comparison: Comparison, rows: Sequence[Row], names: Names) -> str:
    """Return the end of a sentence: which of at least two rows is the cheapest, or that they cost the same.

    It is empty if the cost that the recipe names was not measured and nothing else tells the rows apart.
    """
    named, cheapest = COSTS[comparison.run.recipe.verdict.cheaper_by], find_cheapest(comparison, rows)
    name, by = names.get(cheapest.row), cheapest.by
    superlative = "cheaper" if len(rows) == 2 else "the cheapest"
    if not cheapest.row.trains:
        return f"; {name} is {superlative} (no training)"
    if named.name not in cheapest.row.costs and by is not named:
        return f"; {name} is {superlative} ({_format_prices(by, [cheapest.row])})" if by else ""
    if len(cheapest.same) == 1:
        return f"; {name} is {superlative} ({_format_prices(named, [cheapest.row])})"
    alike = "they" if len(cheapest.same) == len(rows) else names.join(cheapest.same)
    same = f"; {alike} cost the same ({_format_prices(named, cheapest.same)})"
    if by is None or by is named:
        return same
    return f"{same}, and {name} is {superlative} ({_format_prices(by, [cheapest.row])})"


def describe_fastest(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield the methods that trained fastest, which may cost the same; nothing if all of them do."""
    time = COSTS["train_seconds"]
    trained = [row for row in comparison.rows if row.finished and row.trains and time.name in row.costs]
    fastest = keep_lowest(comparison, time, trained) if len(trained) > 1 else ()
    if 0 < len(fastest) < len(trained):
        yield f"Fastest training: {names.join(fastest)} ({_format_prices(time, fastest)})."


def _format_prices(cost: Cost, rows: Sequence[Row]) -> str:
    """Format the cost of the rows, such as `training time 14 s` or `training time 14 s to 15 s`."""
    prices = sorted(row.costs.get(cost.name, 0.0) for row in rows)
    ends = dict.fromkeys(format_cost(cost, price) for price in (prices[0], prices[-1]))
    return f"{cost.title.lower()} {' to '.join(ends)}"

"""What the best method cost, in a sentence."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.report.escape import escape_control
from tuneoff.report.format import format_cost, join_list

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

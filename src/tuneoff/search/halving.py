"""The rules of successive halving.

Every configuration of a method is trained to the first rung, the best of them to the next, and so on. All methods have
the same rungs and the same number of tries, and so the same number of tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuneoff.config.search import SearchOptions
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.search.sampling import draw_configurations

LEARNING_RATE = "learning_rate"


def count_configurations(recipe: Recipe, label: str) -> int:
    """Return how many configurations a method's search tries: those of the options, or all if its space has fewer."""
    options, space = recipe.search, recipe.get_space(label)
    if options is None or not space:
        return 0
    return len(draw_configurations(space, options, options.configurations, options.seed))


def count_at_rungs(options: SearchOptions, configurations: int) -> tuple[int, ...]:
    """Return how many configurations are trained to each rung."""
    return tuple(math.ceil(configurations / options.eta**rung) for rung in range(options.rungs))


def get_validation_score(record: Record | None, metric: str) -> float | None:
    """Return a record's validation score; None if there is no record, or the trial failed or diverged."""
    return record.scores.get(f"validation/{metric}") if record and record.status == "done" else None


def find_edge(tried: Sequence[tuple[float, float | None]], *, lower_is_better: bool) -> str | None:
    """Return "low" or "high" if the best learning rate is the lowest or highest one tried; else None.

    Args:
        tried: learning rates with their scores. A rate that diverged has no score but bounds the best from above.
    """
    scored = [(score, rate) for rate, score in tried if score is not None]
    if len(tried) < 2 or not scored:
        return None
    _, best = min(scored) if lower_is_better else max(scored)
    rates = [rate for rate, _ in tried]
    return "low" if best == min(rates) else "high" if best == max(rates) else None

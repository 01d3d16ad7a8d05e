"""How many configurations a method's search tries, by equal tokens or by equal seconds of training."""

from __future__ import annotations

from collections.abc import Mapping

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.search.halving import count_space

MOST_TIMES = 4  # a fast method tries at most this many times as many configurations as `configurations` says


def choose_configurations(recipe: Recipe, label: str, first_records: Mapping[str, Record | None]) -> int | None:
    """Return the number of configurations of one method's search.

    With equal seconds it follows from the speeds of the first trials of all methods, which are of equal length. So it
    is fixed from then on, whatever the later trials take.

    Args:
        first_records: by label, the record of each searched method's first trial; None if it is missing. Only read
            with equal seconds.

    Returns:
        None with equal seconds, as long as a first trial is missing.
    """
    assert recipe.search is not None, "the recipe has a search"
    if recipe.search.effort == "tokens":
        return scale_configurations(recipe, label, {})
    if any(record is None for record in first_records.values()):
        return None
    speeds = {other: compute_token_seconds(record) for other, record in first_records.items() if record}
    return scale_configurations(recipe, label, {other: speed for other, speed in speeds.items() if speed})


def scale_configurations(recipe: Recipe, label: str, seconds: Mapping[str, float]) -> int:
    """Return how many configurations a method tries: those of the options, or all if its space has fewer.

    With equal seconds, as many as it trains in the time in which the slowest method trains those of the options.

    Args:
        seconds: of equal training by label. A method without a figure counts as the slowest.
    """
    assert recipe.search is not None, "the recipe has a search"
    searched = [value for other, value in seconds.items() if recipe.get_space(other)]
    own = seconds.get(label) if recipe.search.effort == "seconds" else None
    times = min(MOST_TIMES, max(searched) / own) if own and searched else 1.0
    return int(min(times * recipe.search.configurations, count_space(recipe.get_space(label))))


def compute_token_seconds(record: Record) -> float | None:
    """Return the training seconds per token of a trial; None if it has no figures."""
    tokens = sum(row.real_tokens for row in record.curve)
    seconds = sum(row.train_seconds for row in record.curve)
    return seconds / tokens if tokens and seconds > 0 else None

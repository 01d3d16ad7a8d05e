"""Score the records of a run again when its recipe has other metrics than those they were scored by."""

from __future__ import annotations

from collections.abc import Collection

from tuneoff.errors import RunError
from tuneoff.metrics.choice import find_changed_metrics
from tuneoff.metrics.stored import Rows, add_missing_scores, remove_scores
from tuneoff.recipe.recipe import Recipe
from tuneoff.runs import RunDirectory
from tuneoff.runs.layout import has_recipe
from tuneoff.runs.reading import read_recipe


def score_stored_records(directory: RunDirectory, recipe: Recipe, rows: Rows) -> None:
    """Write the scores that stored predictions lack, and those by metrics that changed. Call this with the lock held.

    The recipe of the directory is still the one that its records were scored by.

    Args:
        recipe: the new one, with its metrics written out.
        rows: the columns of the test split.

    Raises:
        MetricError: a metric fails, or needs text and the run has none.
        RunError: the search of the run chose by a metric that changed.
    """
    if not has_recipe(directory.path):
        return
    changed = find_changed_metrics(read_recipe(directory.path).metrics, recipe.metrics)
    _require_same_search_metric(directory, recipe, changed)
    for record in directory.read_records():
        if record.predictions:
            scored = add_missing_scores(remove_scores(record, changed), recipe.metric_table.values(), rows)
            if scored is not record:
                directory.write_record(scored)


def _require_same_search_metric(directory: RunDirectory, recipe: Recipe, changed: Collection[str]) -> None:
    if recipe.search and recipe.search.metric in changed:
        raise RunError(
            f"The search in {directory.path} chose by {recipe.search.metric}, which has changed since. Name another "
            "run directory with --run."
        )

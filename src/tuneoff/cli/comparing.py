"""The parts of `tuneoff compare`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.errors import BudgetError, RunError

if TYPE_CHECKING:
    from tuneoff.analysis.comparison import Comparison
    from tuneoff.recipe.recipe import Recipe


def add_until_decided(recipe: str, overrides: list[str], model: str | None) -> list[str]:
    """Return the overrides of a recipe, or of one that is made from data, with that of `--until-decided`."""
    from tuneoff.recipe.loading import load_recipe

    override = "until_decided=true"
    is_set = override in overrides if model else load_recipe(recipe, overrides).until_decided is not None
    return [*overrides, *([] if is_set else [override])]


def find_run_name(recipe: str, overrides: list[str], model: str | None) -> str:
    """Return the name of the recipe. Data are not read for it, which is left to the worker."""
    from tuneoff.recipe.data_argument import name_recipe
    from tuneoff.recipe.loading import load_recipe

    if model is None:
        return load_recipe(recipe, overrides).name
    return next((change[5:] for change in overrides if change.startswith("name=")), name_recipe(recipe))


def require_time(recipe: Recipe, directory: Path) -> None:
    """Check in the first process, before the libraries are loaded, that the budget leaves time for a report.

    Raises:
        BudgetError: it does not.
    """
    from tuneoff.budget.at_once import require_time_to_report
    from tuneoff.system.process_start import compute_process_start

    require_time_to_report(recipe.budget, directory, time.monotonic() - compute_process_start())


def compare_and_print(recipe: Recipe, directory: Path, drop: list[str], **options: Any) -> list[Comparison]:
    """Run a comparison or a sweep with these options of the library, print its result, and return its comparisons."""
    from tuneoff import api
    from tuneoff.console.results import print_comparison, print_sweep

    if not recipe.sweep:
        comparison = _compare_or_ask(recipe, directory, drop, **options)
        print_comparison(comparison, directory / "report")
        return [comparison]
    if drop:
        raise RunError("--drop is for a budget, and a sweep has none. Leave it out.")
    sweep = api.sweep(recipe, run=directory, **options)
    print_sweep(sweep, directory)
    return list(sweep.comparisons.values())


def _compare_or_ask(recipe: Recipe, directory: Path, drop: list[str], **options: Any) -> Comparison:
    """Run a comparison. If its budget is too small, ask on the terminal which methods to leave out.

    Without a terminal the error ends the command, with the flags that would answer.
    """
    from tuneoff import api
    from tuneoff.console.asking import ask_on_terminal

    while True:
        try:
            return api.compare(recipe, run=directory, drop=drop, **options)
        except BudgetError as error:
            question = f"{error}\nLeave out {', '.join(error.proposed_drops)}? [y/N] "
            if not error.proposed_drops or not ask_on_terminal(question):
                raise
            drop = list(error.proposed_drops)

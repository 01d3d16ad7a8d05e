"""The parts of `tuneoff compare`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tuneoff.cli.application import BUDGET_OVER, FAILED, get_stop_code
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


def format_flags(flags: Mapping[str, str | int | Path | list[str] | None]) -> list[str]:
    """Return options as a command line has them, without those that are None or False.

    Args:
        flags: values by option. True is written as the option alone, and each of several values with the option.
    """
    single = [(name, one) for name, value in flags.items() for one in (value if isinstance(value, list) else [value])]
    given = [(name, value) for name, value in single if value is not None and value is not False]
    return [part for name, value in given for part in ([name] if value is True else [name, str(value)])]


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


@contextmanager
def explain_stop(arguments: Sequence[str], directory: Path) -> Iterator[None]:
    """Say after a stop of the block that finished work is saved, and which command continues it."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        command = shlex.join(["tuneoff", *arguments])
        print(f"\nStopped. Finished work is saved in {directory}. To continue: {command}", file=sys.stderr)
        raise typer.Exit(get_stop_code(stopped)) from None


def explain_end(comparisons: Sequence[Comparison]) -> int:
    """Say what comparisons lack, if anything, and return the exit code."""
    if any(record.status == "failed" for comparison in comparisons for record in comparison.run.records):
        print("Some trials failed. The report has the reasons. To run them again, add --retry.", file=sys.stderr)
        return FAILED
    if any(comparison.partial for comparison in comparisons):
        print("The budget is used up. To continue, run the same command with a larger budget.", file=sys.stderr)
        return BUDGET_OVER
    return 0


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

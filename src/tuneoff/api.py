"""The functions behind `import tuneoff`. Each command of the command line calls one of them."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.analysis.sweep import Sweep, build_sweep
from tuneoff.budget.estimate import estimate_cost
from tuneoff.budget.ledger import Ledger, MeteredListener
from tuneoff.budget.plan import Capacity, Plan
from tuneoff.budget.probe import Probe
from tuneoff.budget.spending import read_spending
from tuneoff.errors import BudgetError, RecipeError, RunError
from tuneoff.recipe.loading import load_recipe
from tuneoff.recipe.overrides import apply_overrides
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.report.tables import format_markdown_table
from tuneoff.runner.listener import Listener
from tuneoff.runner.plan import select_records
from tuneoff.runner.stages import plan_stages
from tuneoff.runs import RunDirectory
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.interrupts import Stopped, StopRequest, stop_on_signals

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.budget.limit import AffordablePlan
    from tuneoff.models.language_model import LanguageModel
    from tuneoff.runner.prepare import Preparation

AnyRecipe = Recipe | Mapping[str, Any] | str | Path

RUNS = Path("runs")
SWEEP_FILE, VALUES = "sweep.yaml", "values"
OLD_SWEEP_FILE = "study.yaml"  # the name of SWEEP_FILE before version 0.2


def compare(
    recipe: AnyRecipe,
    *overrides: str,
    run: str | Path | None = None,
    listener: Listener | None = None,
    retry: bool = False,
) -> Comparison:
    """Run the missing trials of a comparison, rank the methods, and write the report.

    With a budget, only as many trials are run as it allows. `Comparison.partial` then lists what is missing, and
    `Comparison.spending` how the recipe was reduced.

    Args:
        recipe: a recipe, a mapping of its keys, the path of a recipe file, or the name of a shipped recipe.
        overrides: changes to the recipe, as `key.key=value`.
        run: the run directory, by default `runs/NAME` of the recipe. Trials that it has a record of are not run again.
        listener: receives progress events. By default progress is shown in the terminal or notebook. Pass a
            `tuneoff.runner.listener.SilentListener()` to show none.
        retry: run failed trials again.

    Returns:
        The comparison. As the last value of a notebook cell it is shown as its leaderboard.

    Raises:
        TuneoffError: the recipe, the data, the model or the run directory cannot be used. The message has the cure.
        KeyboardInterrupt: the run was stopped. Its finished trials are saved, and the same call continues it.
    """
    recipe = _read_recipe(recipe, overrides)
    if recipe.sweep:
        raise RecipeError(
            f"{recipe.name} is a sweep over {recipe.sweep.parameter} and not a single comparison. Use tuneoff.sweep."
        )
    directory = RunDirectory(Path(run) if run else RUNS / recipe.name)
    with _open_listener(listener) as active_listener:
        return _run_comparison(recipe, directory, active_listener, retry=retry)


def sweep(
    recipe: AnyRecipe,
    *overrides: str,
    run: str | Path | None = None,
    listener: Listener | None = None,
    retry: bool = False,
) -> Sweep:
    """Run the missing trials of a sweep, a recipe with the key `sweep`, and write its report.

    The arguments and errors are those of `compare`. Each comparison of the sweep has its own run directory in the
    folder `values` of `run`.
    """
    recipe = _read_recipe(recipe, overrides)
    comparisons = expand_sweep(recipe)
    root = Path(run) if run else RUNS / recipe.name
    if (root / "recipe.yaml").exists():
        raise RunError(f"{root} is the run directory of a single comparison. Choose another one with --run.")
    for name, comparison in comparisons.items():
        RunDirectory(root / VALUES / name).require_same_recipe(comparison)
    write_atomically(root / SWEEP_FILE, yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True))
    with _open_listener(listener) as active_listener:
        for name, comparison in comparisons.items():
            _run_comparison(comparison, RunDirectory(root / VALUES / name), active_listener, retry=retry)
            result = report_sweep(root)
    return result


def expand(recipe: AnyRecipe, *overrides: str) -> Mapping[str, Recipe]:
    """Return the recipes of a sweep's comparisons by name, or the recipe itself if it is not a sweep."""
    recipe = _read_recipe(recipe, overrides)
    return expand_sweep(recipe) if recipe.sweep else {recipe.name: recipe}


def load_comparison(run: str | Path) -> Comparison:
    """Rank the methods by the records in a run directory. The run may be unfinished.

    Raises:
        RunError: this is not a run directory, or a file in it cannot be read.
    """
    stored, spending = RunDirectory(Path(run)).read(), read_spending(Path(run))
    recipe = spending.fit.shrink(stored.recipe) if spending.fit else stored.recipe
    _show_in_notebooks()
    return judge(replace(stored, recipe=recipe, records=select_records(recipe, stored.records)), spending)


def load_model(run: str | Path, label: str | None = None, seed: int | None = None) -> LanguageModel:
    """Load a model that a run trained: the base model of its recipe with the adapter of a confirmed trial.

    Args:
        run: the run directory.
        label: the method, as the recipe labels it; by default the best one by test ROUGE-L.
        seed: the seed of the trial; by default the lowest one that finished.

    Returns:
        The model on the CPU, ready for inference. Move it with `.to(device)`. Its `network` is the model of
        transformers or peft, and its `tokenizer` the base model's.

    Raises:
        ModelError: the base model cannot be loaded.
        RunError: there is no such trial or it did not finish, its adapter is missing or damaged, or the base model has
            changed since the run.
    """
    from tuneoff.runner.trained_model import choose_trial, load_trained_model

    comparison = load_comparison(run)
    if label is None:
        if comparison.best is None:
            raise RunError(f"No method in {run} has a score yet. Finish the run with `tuneoff compare`.")
        label = comparison.best.label
    record = choose_trial(comparison.run.records, label, seed)
    return load_trained_model(RunDirectory(Path(run)), record)


def is_sweep(run: str | Path) -> bool:
    """Return whether this is the directory of a sweep, rather than of a single comparison."""
    return _find_sweep_file(Path(run)).is_file()


def load_sweep(run: str | Path) -> Sweep:
    """Load a sweep from its directory. The sweep may be unfinished.

    Raises:
        RunError: this is not the directory of a sweep, or a file in it cannot be read.
    """
    root = Path(run)
    file = _find_sweep_file(root)
    try:
        recipe = Recipe.read(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{file} cannot be read: {error}") from error
    started = [name for name in expand_sweep(recipe) if any((root / VALUES / name).glob("trials/*/record.json"))]
    return build_sweep(recipe, {name: load_comparison(root / VALUES / name) for name in started})


def report_run(
    run: str | Path, against: str | Path | None = None, to: str | Path | None = None, *, with_text: bool = True
) -> Comparison:
    """Write the report of a run directory again, from its records alone.

    Args:
        against: another run directory. The page shows its results next to those of `run`.
        to: the folder to write to, by default `report` in the run directory.
        with_text: include test examples and predictions in the page.
    """
    from tuneoff.report.page import write_report

    comparison = load_comparison(run)
    other = load_comparison(against) if against else None
    write_report(comparison, Path(to) if to else RunDirectory(Path(run)).report, against=other, with_text=with_text)
    return comparison


def report_sweep(run: str | Path) -> Sweep:
    """Write the page and figures of a sweep again. The reports of its comparisons do not change."""
    from tuneoff.report.sweep_page import write_sweep_report

    sweep = load_sweep(run)
    write_sweep_report(sweep, Path(run) / "report")
    return sweep


def calibrate(*runs: str | Path, seeds: int = 3, comparisons: int = 1000) -> Iterator[Calibration]:
    """Measure how often the verdict is wrong, on comparisons made from the records of runs and sweeps.

    Args:
        seeds: seeds on each side of such a comparison.
        comparisons: comparisons to judge per method and metric: as many without a difference as with a known one.

    Returns:
        One calibration per method and metric, each computed when it is asked for.

    Raises:
        RunError: no method has two finished seeds, so the variation between its runs is unknown.
    """
    from tuneoff.analysis.calibration import calibrate_comparisons, list_repeated_rows

    by_name = {name: comparison for run in runs for name, comparison in _iterate_comparisons(Path(run))}
    if not any(list_repeated_rows(comparison) for comparison in by_name.values()):
        raise RunError(
            f"No method in {', '.join(map(str, runs))} was scored with two seeds, so the variation between its runs is "
            "unknown. Add seeds with `tuneoff compare RECIPE 'seeds=[0, 1, 2]' --run RUN`, then calibrate again."
        )
    return calibrate_comparisons(by_name, seeds=seeds, pairs=comparisons)


def plan(
    recipe: AnyRecipe,
    *overrides: str,
    probe: bool = False,
    run: str | Path | None = None,
    listener: Listener | None = None,
) -> Plan:
    """List the trials of a comparison by stage. This reads the data, and loads weights only for a probe.

    Args:
        recipe: as in `compare`.
        overrides: as in `compare`.
        probe: measure each method for a moment on this machine, and estimate the cost of the comparison here.
        run: a run directory to save the measurements in, which is created if necessary. What it already contains is
            not measured again, and the report compares the estimate with the actual cost.
        listener: receives the progress events of the probe, as in `compare`.

    Raises:
        TuneoffError: the recipe, the data, the model or the run directory cannot be used. The message has the cure.
    """
    from tuneoff.models.parameters import count_parameters
    from tuneoff.runner.prepare import fit_methods, prepare

    recipe, start = _read_recipe(recipe, overrides), time.perf_counter()
    preparation = prepare(recipe)
    preparation_seconds = time.perf_counter() - start
    shapes = fit_methods(recipe.methods, recipe.model, preparation.source, preparation.tokenizer)
    counts = {label: count_parameters(model) for label, model in shapes}
    trained = [label for label, (trainable, _) in counts.items() if trainable]
    planned = Plan(recipe=recipe, parameters=counts, stages=plan_stages(recipe, preparation.text.summary, trained))
    if not probe:
        return planned
    with contextlib.ExitStack() as stack:
        active_listener = stack.enter_context(_open_listener(listener))
        folder = Path(run) if run else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measured = _probe(preparation, RunDirectory(folder), preparation_seconds, active_listener)
    return replace(
        planned,
        cost_estimate=estimate_cost(recipe, preparation.text.summary, measured),
        capacity=_measure_capacity(preparation, Path(run) if run else RUNS),
        refused={label: reason for label, reason in measured.refused.items() if label in recipe.methods},
    )


def _run_comparison(recipe: Recipe, directory: RunDirectory, listener: Listener, *, retry: bool) -> Comparison:
    from tuneoff.budget.limit import fit_to_budget
    from tuneoff.runner.local_engine import run_missing
    from tuneoff.runner.prepare import prepare
    from tuneoff.system.environment import describe_environment

    directory.require_same_recipe(recipe)
    ledger = Ledger(directory.path)
    preparation = prepare(recipe)
    directory.require_same_setting(preparation.setting)
    with directory.lock():
        directory.begin(recipe, describe_environment(), preparation.text.summary)
        with ledger.saving():
            affordable = fit_to_budget(preparation, ledger, listener)
            stop = StopRequest(when=affordable.get_stop_reason)
            with stop_on_signals(stop), _end_with_budget(affordable):
                run_missing(
                    affordable.recipe, preparation, directory, MeteredListener(listener, ledger),
                    retry=retry, fits_budget=affordable.fits_budget, stop=stop,
                )  # fmt: skip
            ledger.end_trial()  # a trial may have been stopped
            ledger.write()  # the report reads it
            _require_any_record(directory, recipe)
            return report_run(directory.path)


@contextlib.contextmanager
def _end_with_budget(affordable: AffordablePlan) -> Iterator[None]:
    """Continue after the block when the budget stopped it, so that the trials so far are reported."""
    try:
        yield
    except Stopped as stopped:
        if stopped.reason != affordable.get_stop_reason():
            raise


def _require_any_record(directory: RunDirectory, recipe: Recipe) -> None:
    if recipe.budget and not any(directory.path.glob("trials/*/record.json")):
        raise BudgetError(
            f"The budget ended before the first trial did. Unfinished work is saved in {directory.path}. "
            "Run the same command with a larger budget to continue."
        )


@contextlib.contextmanager
def _open_listener(listener: Listener | None) -> Iterator[Listener]:
    """Yield the listener, or without one show progress for the time of the block."""
    from tuneoff.console.progress import show_progress

    with contextlib.nullcontext(listener) if listener else show_progress() as active_listener:
        yield active_listener


def _show_in_notebooks() -> None:
    """Have a notebook show a comparison as its leaderboard. Does nothing outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell:
        shell.display_formatter.formatters["text/markdown"].for_type(Comparison, format_markdown_table)


def _find_sweep_file(run: Path) -> Path:
    old = run / OLD_SWEEP_FILE
    return old if old.is_file() and not (run / SWEEP_FILE).is_file() else run / SWEEP_FILE


def _iterate_comparisons(run: Path) -> Iterator[tuple[str, Comparison]]:
    if is_sweep(run):
        yield from ((f"{run} {name}", comparison) for name, comparison in load_sweep(run).comparisons.items())
    else:
        yield str(run), load_comparison(run)


def _probe(preparation: Preparation, directory: RunDirectory, preparation_seconds: float, listener: Listener) -> Probe:
    from tuneoff.budget.limit import load_or_run_probe
    from tuneoff.system.environment import describe_environment

    recipe, data = preparation.recipe, preparation.text.summary
    directory.require_same_recipe(recipe)
    directory.require_same_setting(preparation.setting)
    ledger = Ledger(directory.path)
    with directory.lock():
        directory.begin(recipe, describe_environment(), data)
        with ledger.saving():
            return load_or_run_probe(preparation, directory.path, preparation_seconds, listener)


def _measure_capacity(preparation: Preparation, run: Path) -> Capacity:
    from tuneoff.system.capacity import get_free_disk_bytes, get_memory_bytes

    spent, budget = read_spending(run).spent.seconds, preparation.recipe.budget
    return Capacity(
        memory_bytes=get_memory_bytes(preparation.device),
        disk_bytes=get_free_disk_bytes(run),
        seconds=budget.compute_total_seconds(spent, datetime.now().astimezone()) if budget else None,
    )


def _read_recipe(recipe: AnyRecipe, overrides: Iterable[str]) -> Recipe:
    match recipe:
        case str() | Path():
            return load_recipe(recipe, overrides)
        case Recipe():
            return Recipe.read(apply_overrides(recipe.to_dict(), overrides))
        case _:
            return Recipe.read(apply_overrides(recipe, overrides))

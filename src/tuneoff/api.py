"""What the command line can do, in Python with the same words."""

from __future__ import annotations

import contextlib
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
from tuneoff.recipe.loading import apply_overrides, load_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import expand_sweep
from tuneoff.runner.listener import Listener
from tuneoff.runner.plan import select_records
from tuneoff.runner.stages import plan_stages
from tuneoff.runs import RunDirectory, write_atomically
from tuneoff.system.interrupts import Stopped, StopRequest, stop_on_signals

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.budget.limit import AffordablePlan
    from tuneoff.runner.prepare import Preparation

RUNS = Path("runs")
SWEEP, VALUES = "sweep.yaml", "values"
SWEEP_BEFORE = "study.yaml"  # its name before 0.2


def compare(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    run: str | Path | None = None,
    listener: Listener | None = None,
    retry: bool = False,
) -> Comparison:
    """Run what is missing of a comparison, judge it, and write its report; with a budget, as much as that allows.

    What a budget left undone is in `Comparison.partial`, and what it cut in `Comparison.spending`.

    Args:
        recipe: a recipe, the mapping that one is written as, a file's path, or a shipped one's name.
        overrides: `key.key=value`, applied to what `recipe` says.
        run: the run directory; `runs/NAME` of the recipe unless given. Its records are kept and not made again.
        watch: whoever follows; the terminal or the notebook unless given. `Silence()` is nobody.
        retry: run failed trials again.

    Raises:
        TuneoffError: something in the recipe, the data, the model or the run directory needs the user's hand.
        KeyboardInterrupt: handed on; what was recorded stays, and the same call goes on from there.
    """
    whole = _read_recipe(recipe, overrides)
    if whole.sweep:
        raise RecipeError(f"{whole.name} varies {whole.sweep.parameter}, and is not one comparison: use tuneoff.sweep.")
    directory = RunDirectory(Path(run) if run else RUNS / whole.name)
    with _listen(listener) as follower:
        return _compare(whole, directory, follower, retry=retry)


def sweep(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    run: str | Path | None = None,
    listener: Listener | None = None,
    retry: bool = False,
) -> Sweep:
    """Run what is missing of a study, a recipe with `vary`, and write its report; see `compare` for the arguments.

    Its comparisons are run directories of their own, in the folder `values` of the study's.
    """
    whole = _read_recipe(recipe, overrides)
    parts = expand_sweep(whole)
    root = Path(run) if run else RUNS / whole.name
    if (root / "recipe.yaml").exists():
        raise RunError(f"{root} is the run of one comparison. Give this study a directory of its own with --run.")
    for name, part in parts.items():
        RunDirectory(root / VALUES / name).require_fits(part)
    write_atomically(root / SWEEP, yaml.safe_dump(whole.to_dict(), sort_keys=False, allow_unicode=True))
    with _listen(listener) as follower:
        for name, part in parts.items():
            _compare(part, RunDirectory(root / VALUES / name), follower, retry=retry)
            sweep = report_sweep(root)
    return sweep


def expand(recipe: Recipe | Mapping[str, Any] | str | Path, *overrides: str) -> Mapping[str, Recipe]:
    """The comparisons that a recipe stands for, by name: itself, or a study's."""
    whole = _read_recipe(recipe, overrides)
    return expand_sweep(whole) if whole.sweep else {whole.name: whole}


def _compare(recipe: Recipe, directory: RunDirectory, listener: Listener, *, retry: bool) -> Comparison:
    from tuneoff.budget.limit import fit_to_budget
    from tuneoff.runner.local_engine import run_missing
    from tuneoff.runner.prepare import prepare
    from tuneoff.system.environment import describe_environment

    directory.require_fits(recipe)
    ledger = Ledger(directory.path)
    preparation = prepare(recipe)
    directory.require_same_setting(preparation.setting)
    with directory.held():
        directory.begin(recipe, describe_environment(), preparation.text.summary)
        with ledger.saving():
            afforded, counted = fit_to_budget(preparation, ledger, listener), MeteredListener(listener, ledger)
            stop = StopRequest(when=afforded.get_stop_reason)
            with stop_on_signals(stop), _end_with_budget(afforded):
                run_missing(
                    afforded.recipe, preparation, directory, counted,
                    retry=retry, fits_budget=afforded.fits_budget, stop=stop,
                )  # fmt: skip
            ledger.end_trial()  # whatever was stopped
            ledger.write()  # for the report to read
            _require_any_record(directory, recipe)
            return report_run(directory.path)


@contextlib.contextmanager
def _end_with_budget(afforded: AffordablePlan) -> Iterator[None]:
    """Work that the budget stops has come to its end, and is reported."""
    try:
        yield
    except Stopped as stopped:
        if stopped.reason != afforded.get_stop_reason():
            raise


def _require_any_record(directory: RunDirectory, recipe: Recipe) -> None:
    if recipe.budget and not any(directory.path.glob("trials/*/record.json")):
        raise BudgetError(
            f"The budget was over before one trial was. What was begun is kept in {directory.path}: "
            "the same command with a larger budget goes on."
        )


@contextlib.contextmanager
def _listen(listener: Listener | None) -> Iterator[Listener]:
    from tuneoff.console.progress import show_progress

    with contextlib.nullcontext(listener) if listener else show_progress() as follower:
        yield follower


def load_comparison(run: str | Path) -> Comparison:
    """The comparison that a run directory's records make, also half a run's.

    Raises:
        RunError: it is no run directory, or a file in it cannot be read.
    """
    whole, spending = RunDirectory(Path(run)).read(), read_spending(Path(run))
    recipe = spending.fit.shrink(whole.recipe) if spending.fit else whole.recipe
    return judge(replace(whole, recipe=recipe, records=select_records(recipe, whole.records)), spending)


def is_sweep(run: str | Path) -> bool:
    """Whether a directory is a study's, and not one comparison's."""
    return _find_sweep_file(Path(run)).is_file()


def _find_sweep_file(run: Path) -> Path:
    before = run / SWEEP_BEFORE
    return before if before.is_file() and not (run / SWEEP).is_file() else run / SWEEP


def load_sweep(run: str | Path) -> Sweep:
    """What a study's directory holds, also half a study's.

    Raises:
        RunError: it is no study's directory, or a file in it cannot be read.
    """
    root = Path(run)
    try:
        recipe = Recipe.read(yaml.safe_load(_find_sweep_file(root).read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{_find_sweep_file(root)} cannot be read: {error}") from error
    there = [name for name in expand_sweep(recipe) if any((root / VALUES / name).glob("trials/*/record.json"))]
    return build_sweep(recipe, {name: load_comparison(root / VALUES / name) for name in there})


def report_run(
    run: str | Path, against: str | Path | None = None, to: str | Path | None = None, *, with_text: bool = True
) -> Comparison:
    """Write a run directory's report again, from its records alone.

    Args:
        against: another run, whose conclusions the page sets beside this one's.
        to: the folder to write it into; the run's own `report` unless given.
        with_text: whether test examples and predictions are on the page.
    """
    from tuneoff.report.page import write_report

    comparison = load_comparison(run)
    other = load_comparison(against) if against else None
    write_report(comparison, Path(to) if to else RunDirectory(Path(run)).report, against=other, with_text=with_text)
    return comparison


def report_sweep(run: str | Path) -> Sweep:
    """Write a study's page and figures again; those of its comparisons stay as they are."""
    from tuneoff.report.sweep_page import write_sweep_report

    sweep = load_sweep(run)
    write_sweep_report(sweep, Path(run) / "report")
    return sweep


def calibrate(*runs: str | Path, seeds: int = 3, comparisons: int = 1000) -> Iterator[Calibration]:
    """Put the verdict to the test on what runs and studies hold: one method and metric after the other.

    Args:
        seeds: of each side of a made-up comparison; one shows what a single seed is worth.
        comparisons: how many to judge for each method and metric, without a difference and with one.

    Raises:
        RunError: no method has two trials that came to a score, so that nothing is known of its luck.
    """
    from tuneoff.analysis.calibration import calibrate_comparisons, can_calibrate

    found = {name: comparison for run in runs for name, comparison in _iterate_comparisons(Path(run))}
    if not any(can_calibrate(comparison) for comparison in found.values()):
        raise RunError(
            f"No method in {', '.join(map(str, runs))} was scored with two seeds, so nothing is known of the luck of "
            "a training. Add some with `tuneoff compare RECIPE 'seeds=[0, 1, 2]' --run RUN`, and calibrate then."
        )
    return calibrate_comparisons(found, seeds=seeds, pairs=comparisons)


def _iterate_comparisons(run: Path) -> Iterator[tuple[str, Comparison]]:
    if is_sweep(run):
        yield from ((f"{run} {name}", comparison) for name, comparison in load_sweep(run).comparisons.items())
    else:
        yield str(run), load_comparison(run)


def plan(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    probe: bool = False,
    run: str | Path | None = None,
    listener: Listener | None = None,
) -> Plan:
    """The tree of a comparison's trials; reads the data, but no weights unless they are probed.

    Args:
        probe: measure every method for a moment on this machine, and say what the whole will cost here.
        run: where to keep what was measured, for the report to set what it took beside it; a run directory, begun if
            it is not there. What is kept there already is not measured again.
        watch: whoever follows the probe; the terminal or the notebook unless given.
    """
    from tuneoff.models.parameters import count_parameters
    from tuneoff.runner.prepare import fit_methods, prepare

    whole, start = _read_recipe(recipe, overrides), time.perf_counter()
    shared = prepare(whole)
    preparation_seconds = time.perf_counter() - start
    shapes = fit_methods(whole.methods, whole.model, shared.source, shared.tokenizer)
    counts = {label: count_parameters(tuned) for label, tuned in shapes}
    trains = [label for label, (trainable, _) in counts.items() if trainable]
    tree = Plan(recipe=whole, parameters=counts, stages=plan_stages(whole, shared.text.summary, trains))
    if not probe:
        return tree
    with contextlib.ExitStack() as stack:
        follower = stack.enter_context(_listen(listener))
        folder = Path(run) if run else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = _probe(shared, RunDirectory(folder), preparation_seconds, follower)
    return replace(
        tree,
        cost_estimate=estimate_cost(whole, shared.text.summary, found),
        capacity=_measure_capacity(shared, Path(run) if run else RUNS),
        refused={label: reason for label, reason in found.refused.items() if label in whole.methods},
    )


def _probe(shared: Preparation, directory: RunDirectory, preparation_seconds: float, listener: Listener) -> Probe:
    from tuneoff.budget.limit import load_or_run_probe
    from tuneoff.system.environment import describe_environment

    recipe, data = shared.recipe, shared.text.summary
    directory.require_fits(recipe)
    directory.require_same_setting(shared.setting)
    ledger = Ledger(directory.path)
    with directory.held():
        directory.begin(recipe, describe_environment(), data)
        with ledger.saving():
            return load_or_run_probe(shared, directory.path, preparation_seconds, listener)


def _measure_capacity(shared: Preparation, run: Path) -> Capacity:
    from tuneoff.system.capacity import get_free_disk_bytes, get_memory_bytes

    spent, budget = read_spending(run).spent.seconds, shared.recipe.budget
    return Capacity(
        memory_bytes=get_memory_bytes(shared.device),
        disk_bytes=get_free_disk_bytes(run),
        seconds=budget.compute_total_seconds(spent, datetime.now().astimezone()) if budget else None,
    )


def _read_recipe(recipe: Recipe | Mapping[str, Any] | str | Path, overrides: Iterable[str]) -> Recipe:
    match recipe:
        case str() | Path():
            return load_recipe(recipe, overrides)
        case Recipe():
            return Recipe.read(apply_overrides(recipe.to_dict(), overrides))
        case _:
            return Recipe.read(apply_overrides(recipe, overrides))

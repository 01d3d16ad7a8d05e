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
from tuneoff.analysis.sweep import Study, study_of
from tuneoff.budget.estimate import Planned, Probe, Room, bill_of
from tuneoff.budget.ledger import Counted, Ledger, read_spending
from tuneoff.errors import BudgetError, RecipeError, RunError
from tuneoff.recipe.loading import load_recipe, overridden
from tuneoff.recipe.recipe import Recipe
from tuneoff.recipe.sweep import variants
from tuneoff.runner.plan import stages, wanted
from tuneoff.runner.watch import Watch
from tuneoff.runs import RunDirectory, write_whole
from tuneoff.system.interrupts import Stop, Stopped, stopped_by_signals

if TYPE_CHECKING:
    from tuneoff.analysis.calibration import Calibration
    from tuneoff.budget.limit import Affordable
    from tuneoff.runner.prepare import Preparation

RUNS = Path("runs")
STUDY, VALUES = "study.yaml", "values"


def compare(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    run: str | Path | None = None,
    watch: Watch | None = None,
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
    whole = _recipe(recipe, overrides)
    if whole.vary:
        raise RecipeError(f"{whole.name} varies {whole.vary.knob}, and is not one comparison: use tuneoff.studied.")
    directory = RunDirectory(Path(run) if run else RUNS / whole.name)
    with _followed_by(watch) as follower:
        return _compare(whole, directory, follower, retry=retry)


def studied(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    run: str | Path | None = None,
    watch: Watch | None = None,
    retry: bool = False,
) -> Study:
    """Run what is missing of a study, a recipe with `vary`, and write its report; see `compare` for the arguments.

    Its comparisons are run directories of their own, in the folder `values` of the study's.
    """
    whole = _recipe(recipe, overrides)
    parts = variants(whole)
    root = Path(run) if run else RUNS / whole.name
    if (root / "recipe.yaml").exists():
        raise RunError(f"{root} is the run of one comparison. Give this study a directory of its own with --run.")
    for name, part in parts.items():
        RunDirectory(root / VALUES / name).require_fits(part)
    write_whole(root / STUDY, yaml.safe_dump(whole.written(), sort_keys=False, allow_unicode=True))
    with _followed_by(watch) as follower:
        for name, part in parts.items():
            _compare(part, RunDirectory(root / VALUES / name), follower, retry=retry)
            study = report_study(root)
    return study


def parts(recipe: Recipe | Mapping[str, Any] | str | Path, *overrides: str) -> Mapping[str, Recipe]:
    """The comparisons that a recipe stands for, by name: itself, or a study's."""
    whole = _recipe(recipe, overrides)
    return variants(whole) if whole.vary else {whole.name: whole}


def _compare(recipe: Recipe, directory: RunDirectory, watch: Watch, *, retry: bool) -> Comparison:
    from tuneoff.budget.limit import affordable
    from tuneoff.runner.local_engine import run_missing
    from tuneoff.runner.prepare import prepare
    from tuneoff.system.environment import environment

    directory.require_fits(recipe)
    ledger = Ledger(directory.path)
    preparation = prepare(recipe)
    directory.require_same_setting(preparation.setting)
    with directory.held():
        directory.begin(recipe, environment(), preparation.text.summary)
        with ledger.kept():
            afforded, counted = affordable(preparation, ledger, watch), Counted(watch, ledger)
            stop = Stop(when=afforded.over)
            with stopped_by_signals(stop), _budgets_end(afforded):
                run_missing(
                    afforded.recipe, preparation, directory, counted,
                    retry=retry, has_room=afforded.has_room, stop=stop,
                )  # fmt: skip
            ledger.ends()  # whatever was stopped
            ledger.write()  # for the report to read
            _require_something(directory, recipe)
            return report(directory.path)


@contextlib.contextmanager
def _budgets_end(afforded: Affordable) -> Iterator[None]:
    """Work that the budget stops has come to its end, and is reported."""
    try:
        yield
    except Stopped as stopped:
        if stopped.reason != afforded.over():
            raise


def _require_something(directory: RunDirectory, recipe: Recipe) -> None:
    if recipe.budget and not any(directory.path.glob("trials/*/record.json")):
        raise BudgetError(
            f"The budget was over before one trial was. What was begun is kept in {directory.path}: "
            "the same command with a larger budget goes on."
        )


@contextlib.contextmanager
def _followed_by(watch: Watch | None) -> Iterator[Watch]:
    from tuneoff.console.progress import following

    with contextlib.nullcontext(watch) if watch else following() as follower:
        yield follower


def load_comparison(run: str | Path) -> Comparison:
    """The comparison that a run directory's records make, also half a run's.

    Raises:
        RunError: it is no run directory, or a file in it cannot be read.
    """
    whole, spending = RunDirectory(Path(run)).read(), read_spending(Path(run))
    recipe = spending.fit.cut(whole.recipe) if spending.fit else whole.recipe
    return judge(replace(whole, recipe=recipe, records=wanted(recipe, whole.records)), spending)


def is_study(run: str | Path) -> bool:
    """Whether a directory is a study's, and not one comparison's."""
    return (Path(run) / STUDY).is_file()


def load_study(run: str | Path) -> Study:
    """What a study's directory holds, also half a study's.

    Raises:
        RunError: it is no study's directory, or a file in it cannot be read.
    """
    root = Path(run)
    try:
        recipe = Recipe.read(yaml.safe_load((root / STUDY).read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{root / STUDY} cannot be read: {error}") from error
    there = [name for name in variants(recipe) if any((root / VALUES / name).glob("trials/*/record.json"))]
    return study_of(recipe, {name: load_comparison(root / VALUES / name) for name in there})


def report(
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


def report_study(run: str | Path) -> Study:
    """Write a study's page and figures again; those of its comparisons stay as they are."""
    from tuneoff.report.sweep_page import write_study

    study = load_study(run)
    write_study(study, Path(run) / "report")
    return study


def calibrate(*runs: str | Path, seeds: int = 3, comparisons: int = 1000) -> Iterator[Calibration]:
    """Put the verdict to the test on what runs and studies hold: one method and metric after the other.

    Args:
        seeds: of each side of a made-up comparison; one shows what a single seed is worth.
        comparisons: how many to judge for each method and metric, without a difference and with one.

    Raises:
        RunError: no method has two trials that came to a score, so that nothing is known of its luck.
    """
    from tuneoff.analysis.calibration import calibrations, usable

    found = {name: comparison for run in runs for name, comparison in _comparisons_of(Path(run))}
    if not any(usable(comparison) for comparison in found.values()):
        raise RunError(
            f"No method in {', '.join(map(str, runs))} was scored with two seeds, so nothing is known of the luck of "
            "a training. Add some with `tuneoff compare RECIPE 'seeds=[0, 1, 2]' --run RUN`, and calibrate then."
        )
    return calibrations(found, seeds=seeds, pairs=comparisons)


def _comparisons_of(run: Path) -> Iterator[tuple[str, Comparison]]:
    if is_study(run):
        yield from ((f"{run} {name}", comparison) for name, comparison in load_study(run).comparisons.items())
    else:
        yield str(run), load_comparison(run)


def planned(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *overrides: str,
    probe: bool = False,
    run: str | Path | None = None,
    watch: Watch | None = None,
) -> Planned:
    """The tree of a comparison's trials; reads the data, but no weights unless they are probed.

    Args:
        probe: measure every method for a moment on this machine, and say what the whole will cost here.
        run: where to keep what was measured, for the report to set what it took beside it; a run directory, begun if
            it is not there. What is kept there already is not measured again.
        watch: whoever follows the probe; the terminal or the notebook unless given.
    """
    from tuneoff.models.parameters import parameter_counts
    from tuneoff.runner.prepare import outlines, prepare

    whole, start = _recipe(recipe, overrides), time.perf_counter()
    shared = prepare(whole)
    preparation_seconds = time.perf_counter() - start
    shapes = outlines(whole.methods, whole.model, shared.source, shared.tokenizer)
    counts = {label: parameter_counts(tuned) for label, tuned in shapes}
    trains = [label for label, (trainable, _) in counts.items() if trainable]
    tree = Planned(recipe=whole, parameters=counts, stages=stages(whole, shared.text.summary, trains))
    if not probe:
        return tree
    with contextlib.ExitStack() as stack:
        follower = stack.enter_context(_followed_by(watch))
        folder = Path(run) if run else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = _probed(shared, RunDirectory(folder), preparation_seconds, follower)
    return replace(
        tree,
        bill=bill_of(whole, shared.text.summary, found),
        room=_room(shared, Path(run) if run else RUNS),
        refused={label: reason for label, reason in found.refused.items() if label in whole.methods},
    )


def _probed(shared: Preparation, directory: RunDirectory, preparation_seconds: float, watch: Watch) -> Probe:
    from tuneoff.budget.limit import probed
    from tuneoff.system.environment import environment

    recipe, data = shared.recipe, shared.text.summary
    directory.require_fits(recipe)
    directory.require_same_setting(shared.setting)
    ledger = Ledger(directory.path)
    with directory.held():
        directory.begin(recipe, environment(), data)
        with ledger.kept():
            return probed(shared, directory.path, preparation_seconds, watch)


def _room(shared: Preparation, run: Path) -> Room:
    from tuneoff.system.capacity import disk_bytes, memory_bytes

    spent, budget = read_spending(run).spent.seconds, shared.recipe.budget
    return Room(
        memory_bytes=memory_bytes(shared.device),
        disk_bytes=disk_bytes(run),
        seconds=budget.whole_seconds(spent, datetime.now().astimezone()) if budget else None,
    )


def _recipe(recipe: Recipe | Mapping[str, Any] | str | Path, overrides: Iterable[str]) -> Recipe:
    match recipe:
        case str() | Path():
            return load_recipe(recipe, overrides)
        case Recipe():
            return Recipe.read(overridden(recipe.written(), overrides))
        case _:
            return Recipe.read(overridden(recipe, overrides))

"""Run, load and report a single comparison."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.api.crew import Crew, choose_crew, use_threads
from tuneoff.api.following import tracking
from tuneoff.api.inputs import AnyRecipe, open_listener, read_recipe
from tuneoff.api.running import read_selected, retry_failed, run_as_decided
from tuneoff.budget.at_once import require_time_to_report
from tuneoff.budget.ledger import REPORTING, Ledger
from tuneoff.budget.spending import read_spending
from tuneoff.config.metrics import MetricOptions
from tuneoff.engines import Engine
from tuneoff.errors import BudgetError, DataError, MetricError, RecipeError, RunError, suggest
from tuneoff.metrics.stored import remove_scores
from tuneoff.recipe.recipe import Recipe, cut_spaces, drop_methods
from tuneoff.records.record import Record
from tuneoff.report.data_warnings import describe_rows
from tuneoff.report.tables import format_markdown_table
from tuneoff.runner.listener import Listener
from tuneoff.runner.live import LiveListener, Told
from tuneoff.runner.plan import select_records
from tuneoff.runs import RunDirectory
from tuneoff.runs.decisions import apply_decisions
from tuneoff.runs.layout import has_recipe
from tuneoff.runs.live import live_log
from tuneoff.runs.moved_data import describe_place, list_places, restore_place
from tuneoff.runs.split_use import note_use
from tuneoff.runs.store import require_store
from tuneoff.system.environment import describe_environment
from tuneoff.system.interrupts import StopRequest, stop_on_signals
from tuneoff.system.process_start import take_command_start

if TYPE_CHECKING:
    from tuneoff.config.data import DataOptions
    from tuneoff.runner.prepare import Preparation

RUNS = Path("runs")


def compare(
    recipe: AnyRecipe,
    *overrides: str,
    run: str | Path | None = None,
    listener: Listener | None = None,
    retry: bool = False,
    drop: Sequence[str] = (),
    elsewhere: bool = False,
    workers: int | None = None,
    engine: str | Engine = "local",
    threads: int | None = None,
    exclusive: bool = False,
    share: str | None = None,
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
        drop: methods to leave out if the budget is too small for two seeds of every method.
        elsewhere: go on with a run of another processor or other kernels, and mark every new record.
        workers: how many trials run at the same time, each in its own process; None: one after another in this one.
        engine: what starts the workers: a name of `tuneoff.engines.ENGINES`, or an engine with its options.
        threads: CPU threads of a trial, which decide its last bits. By default those of the run if it has begun, else
            an equal share of the cores for each worker.
        exclusive: with workers, let each confirmed trial run alone on its machine, so that its times can be compared.
        share: a URL of fsspec, such as `s3://bucket/mine`, through which workers join that share no folder with this
            machine. What is there is removed at the end. Keys come from the environment.

    Returns:
        The comparison. As the last value of a notebook cell it is shown as its leaderboard.

    Raises:
        TuneoffError: the recipe, the data, the model or the run directory cannot be used. The message has the cure.
        KeyboardInterrupt: the run was stopped. Its finished trials are saved, and the same call continues it.
    """
    recipe = read_recipe(recipe, overrides)
    if recipe.sweep:
        raise RecipeError(
            f"{recipe.name} is a sweep over {recipe.sweep.parameter} and not a single comparison. Use tuneoff.sweep."
        )
    for label in drop:
        if label not in recipe.methods:
            raise RecipeError(f"There is no method {label!r} to leave out.{suggest(label, recipe.methods)}")
    directory = RunDirectory(Path(run) if run else RUNS / recipe.name)
    crew = choose_crew(workers, engine, threads, exclusive=exclusive, share=share)
    with open_listener(listener) as active_listener:
        return run_comparison(recipe, directory, active_listener, crew, retry=retry, drop=drop, elsewhere=elsewhere)


def load_comparison(run: str | Path) -> Comparison:
    """Rank the methods by the records in a run directory. The run may be unfinished.

    This is noted as a use of the test split, unless the same trials were compared before.

    Raises:
        RunError: this is not a run directory, or a file in it cannot be read.
    """
    stored, spending = RunDirectory(Path(run)).read(), read_spending(Path(run))
    recipe = apply_decisions(drop_methods(stored.recipe, stored.misfits), stored.decisions)
    recipe = spending.fit.shrink(recipe) if spending.fit else recipe
    _show_in_notebooks()
    records = select_records(recipe, stored.records, stored.data.train_samples)
    comparison = judge(replace(stored, recipe=recipe, records=records), spending)
    looks = comparison.rounds.list_judged_records(recipe, records) if comparison.rounds else ()
    return replace(comparison, split_use=note_use(Path(run), stored.records, looks))


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
    other = _score_alike(load_comparison(against), comparison) if against else None
    write_report(comparison, Path(to) if to else RunDirectory(Path(run)).report, against=other, with_text=with_text)
    return comparison


def _score_alike(other: Comparison, comparison: Comparison) -> Comparison:
    """Score another comparison's stored predictions by the metric that this one ranks by, if it was not.

    Raises:
        MetricError: its predictions cannot be scored by that metric.
    """
    name, recipe = comparison.metric.name, other.run.recipe
    if recipe.metric_table.get(name) is comparison.metric:
        return other
    if comparison.metric.needs == "judge":
        raise MetricError(
            f"{comparison.run.recipe.name} is ranked by a judge, and {recipe.name} is not. Rank it by one too (judge, "
            "and verdict.metric: judge), or this one by another metric."
        )
    written = {"auto": MetricOptions()} if recipe.metrics == "auto" else dict(recipe.metrics)
    of_metric = comparison.run.recipe.metrics
    options = of_metric[name] if of_metric != "auto" and name in of_metric else MetricOptions()
    verdict = recipe.verdict.model_copy(update={"metric": recipe.primary_metric.name})
    scored = recipe.model_copy(update={"metrics": written | {name: options}, "verdict": verdict})
    records = [remove_scores(record, {name}) for record in other.run.records]  # by another tokenizer or function
    judged = judge(replace(other.run, recipe=scored, records=tuple(records)), other.spending)
    return replace(judged, split_use=other.split_use)


def run_comparison(
    recipe: Recipe,
    directory: RunDirectory,
    listener: Listener,
    crew: Crew,
    *,
    retry: bool,
    drop: Sequence[str] = (),
    elsewhere: bool = False,
) -> Comparison:
    """Run the missing trials of a comparison in its run directory, as far as the budget allows, and report them."""
    with use_threads(crew, directory):
        return _run_comparison(recipe, directory, listener, crew, retry=retry, drop=drop, elsewhere=elsewhere)


def _run_comparison(
    recipe: Recipe,
    directory: RunDirectory,
    listener: Listener,
    crew: Crew,
    *,
    retry: bool,
    drop: Sequence[str],
    elsewhere: bool,
) -> Comparison:
    from tuneoff.runner.rescoring import score_stored_records
    from tuneoff.runner.scores import read_rows

    recipe = directory.take_date(recipe)
    start, imported, data_now = take_command_start(), time.monotonic(), recipe.data
    if crew.share:
        require_store(crew.share)
    preparation, recipe = _prepare_in_run(recipe, directory, listener, start, elsewhere=elsewhere)
    ledger = Ledger(directory.path, start, imported)
    with directory.lock():
        score_stored_records(directory, recipe, read_rows(preparation.text.test))
        directory.begin(recipe, describe_environment(), preparation.text.summary, preparation.fit.misfits)
        # workers write what they do, if they see the run directory
        told: Told = "all" if crew.engine is None else "of others" if crew.share else "plan"
        with tracking(recipe, directory.path), live_log(directory.path) as log, ledger.saving():
            listener = LiveListener(listener, log, told=told)
            if retry:
                retry_failed(directory, recipe)
            affordable = run_as_decided(crew, recipe, data_now, preparation, directory, ledger, listener, drop)
            ledger.end_trial()  # a trial may have been stopped
            ledger.begin_phase(REPORTING)
            ledger.write()  # the report reads it
            _require_any_record(directory, recipe)
            try:
                _ask_judge(recipe, read_selected(affordable, preparation, directory), directory, listener)
            finally:
                comparison = report_run(directory.path)
            return comparison


def _prepare_in_run(
    recipe: Recipe, directory: RunDirectory, listener: Listener, start: float, *, elsewhere: bool
) -> tuple[Preparation, Recipe]:
    """Prepare a comparison as its run directory began it, and return it with its complete recipe.

    Raises:
        TuneoffError: it cannot be prepared, or the run directory has another recipe, setting or data.
    """
    from tuneoff.evaluation.judges import require_judge

    stored_data = directory.find_moved_data(recipe)
    began = recipe.model_copy(update={"data": stored_data}) if stored_data else recipe
    directory.require_same_recipe(began, before_cuts=True)
    if recipe.judge:
        require_judge(recipe.judge)
    require_time_to_report(recipe.budget, directory.path, time.monotonic() - start)
    preparation = _prepare(recipe, directory)
    if stored_data:
        preparation, recipe = _keep_place(preparation, recipe, stored_data, directory, listener)
    recipe = recipe.take_metrics(preparation.recipe).set_date(preparation.setting.data.date)
    recipe = cut_spaces(recipe, preparation.fit.spaces)
    setting, differing_here = directory.adopt_setting(preparation.setting, elsewhere=elsewhere)
    preparation = replace(preparation, setting=setting, elsewhere=differing_here)
    summary = preparation.text.summary
    if summary.shape:
        listener.on_message(f"Rows: {describe_rows(summary)}")
    for label, reason in preparation.fit.misfits.items():
        listener.on_message(f"{label} does not fit {recipe.model.name}, so it is not trained: {reason}")
    for label, left_out in preparation.fit.cuts.items():
        listener.on_message(f"The search of {label} leaves out what does not fit {recipe.model.name}: {left_out}")
    return preparation, recipe


def _prepare(recipe: Recipe, directory: RunDirectory) -> Preparation:
    """Prepare a comparison. If a run began with data that is no longer there, say how it can go on."""
    from tuneoff.runner.prepare import prepare

    try:
        return prepare(recipe)
    except DataError as error:
        is_gone = any(not Path(place).exists() for place in list_places(recipe.data))
        if not is_gone or not has_recipe(directory.path):
            raise
        raise DataError(
            f"{error} {directory.path} began with data in this place. If it was moved, write where it is now, such as "
            "data.files=PATH: the run goes on if the content is the same."
        ) from error


def _keep_place(
    preparation: Preparation, recipe: Recipe, moved: DataOptions, directory: RunDirectory, listener: Listener
) -> tuple[Preparation, Recipe]:
    """Return what a run goes on with whose data was moved: the data from its new place, under its old name.

    Raises:
        RunError: the content is not that which the run began with.
    """
    began, now = directory.read_data().fingerprint, preparation.text.summary.fingerprint
    if began != now:
        raise RunError(
            f"The data in {describe_place(recipe.data)} is not that which {directory.path} began with in "
            f"{describe_place(moved)}: its fingerprint is {now} and was {began}. Name another run directory with --run."
        )
    places = describe_place(recipe.data), describe_place(moved)
    listener.on_message(f"{places[0]} has the content that the run began with in {places[1]}, so it goes on.")
    own, setting = preparation.recipe, preparation.setting
    kept = replace(
        preparation,
        recipe=own.model_copy(update={"data": restore_place(own.data, moved)}),
        setting=setting.model_copy(update={"data": restore_place(setting.data, moved)}),
    )
    return kept, recipe.model_copy(update={"data": moved})


def _ask_judge(recipe: Recipe, records: Sequence[Record], directory: RunDirectory, listener: Listener) -> None:
    """Ask the recipe's judge, if it has one. Its time is not part of a budget."""
    from tuneoff.runner.judging import judge_records

    if recipe.judge:
        stop = StopRequest()
        with stop_on_signals(stop):
            judge_records(recipe.judge, records, directory.path, listener, stop)


def _require_any_record(directory: RunDirectory, recipe: Recipe) -> None:
    if recipe.budget and not any(directory.path.glob("trials/*/record.json")):
        raise BudgetError(
            f"The budget ended before the first trial did. Unfinished work is saved in {directory.path}. "
            "Run the same command with a larger budget to continue."
        )


def _show_in_notebooks() -> None:
    """Have a notebook show a comparison as its leaderboard. Does nothing outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell:
        shell.display_formatter.formatters["text/markdown"].for_type(Comparison, format_markdown_table)

"""Plan a comparison before it runs, and estimate its cost with a probe."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.analysis.plan import Capacity, Plan
from tuneoff.api.comparisons import RUNS
from tuneoff.api.inputs import AnyRecipe, open_listener, read_recipe
from tuneoff.api.sensitivity import find_sensitivity
from tuneoff.budget.estimate import compute_epoch_seconds, estimate_cost
from tuneoff.budget.ledger import Ledger
from tuneoff.budget.probe import Probe
from tuneoff.budget.spending import read_spending
from tuneoff.recipe.recipe import Recipe, cut_spaces
from tuneoff.runner.listener import Listener
from tuneoff.runner.stages import plan_stages
from tuneoff.runs import RunDirectory
from tuneoff.system.capacity import get_free_disk_bytes, get_memory_bytes
from tuneoff.system.environment import describe_environment

if TYPE_CHECKING:
    from tuneoff.runner.prepare import Preparation


def plan(
    recipe: AnyRecipe,
    *overrides: str,
    probe: bool = False,
    run: str | Path | None = None,
    like: str | Path | None = None,
    differences: Sequence[float] = (),
    listener: Listener | None = None,
) -> Plan:
    """List the trials of a comparison by stage, and find the smallest difference between methods that it can show.

    This reads the data, and loads weights only for a probe.

    Args:
        recipe: as in `compare`.
        overrides: as in `compare`.
        probe: measure each method for a moment on this machine, and estimate the cost of the comparison here.
        run: a run directory to save the measurements in, which is created if necessary. What it already contains is
            not measured again, and the report compares the estimate with the actual cost.
        like: the directory of a run or sweep on similar data, whose records show how scores vary. By default that is
            the recipe's own run directory, if it has records.
        differences: in the metric's unit; `Plan.sensitivity` has the seeds and examples that would show them. By
            default they are the smallest difference that matters and a round one.
        listener: receives the progress events of the probe, as in `compare`.

    Raises:
        TuneoffError: the recipe, the data, the model or the run directory cannot be used. The message has the cure.
    """
    from tuneoff.runner.prepare import prepare

    written, start = read_recipe(recipe, overrides), time.perf_counter()
    written = RunDirectory(Path(run)).take_date(written) if run else written
    preparation = prepare(written)
    preparation_seconds = time.perf_counter() - start
    recipe, counts = preparation.recipe, preparation.fit.parameters
    trained = [label for label, (trainable, _) in counts.items() if trainable]
    data = preparation.text.summary
    planned = Plan(
        recipe=recipe,
        data=data,
        parameters=counts,
        misfits=preparation.fit.misfits,
        cuts=preparation.fit.cuts,
        stages=plan_stages(recipe, data, trained),
    )
    if not probe:
        return replace(planned, sensitivity=find_sensitivity(planned, None, like, differences))
    with contextlib.ExitStack() as stack:
        active_listener = stack.enter_context(open_listener(listener))
        folder = Path(run) if run else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measured = _probe(written, preparation, RunDirectory(folder), preparation_seconds, active_listener)
    return replace(
        planned,
        stages=plan_stages(recipe, data, trained, compute_epoch_seconds(measured)),
        sensitivity=find_sensitivity(planned, measured, like, differences),
        cost_estimate=estimate_cost(recipe, data, measured),
        capacity=_measure_capacity(preparation, Path(run) if run else RUNS),
        refused={label: reason for label, reason in measured.refused.items() if label in recipe.methods},
    )


def _probe(
    recipe: Recipe, preparation: Preparation, directory: RunDirectory, preparation_seconds: float, listener: Listener
) -> Probe:
    from tuneoff.budget.limit import load_or_run_probe

    data = preparation.text.summary
    recipe = cut_spaces(recipe, preparation.fit.spaces)
    directory.require_same_recipe(recipe)
    recipe = recipe.take_metrics(preparation.recipe).set_date(preparation.setting.data.date)
    directory.require_same_setting(preparation.setting)
    ledger = Ledger(directory.path)
    with directory.lock():
        directory.begin(recipe, describe_environment(), data, preparation.fit.misfits)
        with ledger.saving():
            return load_or_run_probe(preparation, directory.path, preparation_seconds, listener)


def _measure_capacity(preparation: Preparation, run: Path) -> Capacity:

    spent, budget = read_spending(run).spent.seconds, preparation.recipe.budget
    return Capacity(
        memory_bytes=get_memory_bytes(preparation.device),
        disk_bytes=get_free_disk_bytes(run),
        seconds=budget.compute_total_seconds(spent, datetime.now().astimezone()) if budget else None,
    )

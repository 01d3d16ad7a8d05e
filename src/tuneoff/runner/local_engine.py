"""Run what is missing of a comparison in this process, one trial after the other."""

import gc
from collections.abc import Callable

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner import crashes
from tuneoff.runner.crashes import Attempt, count_deaths, make_skipped_record, mark_running
from tuneoff.runner.listener import Listener
from tuneoff.runner.plan import find_resumable, plan_trials, tally_stages
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.trial import TrialPaths, run_trial
from tuneoff.runs import RunDirectory
from tuneoff.runtime.progress import OnProgress
from tuneoff.system.interrupts import StopRequest
from tuneoff.training.checkpoint import read_steps


def run_missing(
    recipe: Recipe,
    preparation: Preparation,
    directory: RunDirectory,
    listener: Listener,
    *,
    retry: bool = False,
    fits_budget: Callable[[Trial], bool] = lambda _: True,
    stop: StopRequest | None = None,
) -> None:
    """Make the records that are missing, and nothing else; which they are is planned anew after each.

    Args:
        recipe: what is compared.
        preparation: what the trials share.
        directory: held by the caller.
        watch: told of every trial's begin, moments and end.
        retry: whether a record of a failed trial counts as missing.
        has_room: whether the budget has room for a trial; asked before each, and the first without is the end.
        stop: looked at after every step and batch.

    Raises:
        Stopped: `stop` was asked for. What was recorded stays, and the same call goes on from there.
    """
    stop = stop or StopRequest()
    if retry:
        for failed in [record for record in directory.records() if record.status == "failed"]:
            directory.clear(failed.trial)
    known = {record.trial.id: record for record in directory.records()}
    setting = preparation.setting
    listener.on_start(tally_stages(recipe, setting, known))
    try:
        while missing := [trial for trial in plan_trials(recipe, setting, known) if trial.id not in known]:
            trial = missing[0]
            if not fits_budget(trial):
                break
            record = _run_or_skip(trial, preparation, directory, listener.on_trial_start(trial), stop)
            directory.write_record(record)
            known[trial.id] = record.model_copy(update={"predictions": ()})  # on the disk, and of no use to a plan
            over = {id for id, record in known.items() if record.status != "failed"}
            directory.drop_checkpoints(over - find_resumable(recipe, setting, known))
            listener.on_trial_end(record, tally_stages(recipe, setting, known))
            stop.raise_if_requested()
    finally:
        gc.unfreeze()


def _run_or_skip(
    trial: Trial, preparation: Preparation, directory: RunDirectory, on_progress: OnProgress, stop: StopRequest
) -> Record:
    """The trial's record; without trying again where processes died in it before and came no further."""
    folder, steps = directory.trial_folder(trial), read_steps(directory.checkpoint(trial))
    deaths = count_deaths(folder, steps)
    directory.clear(trial)
    if deaths >= crashes.MAX_DEATHS:
        return make_skipped_record(trial, steps)
    with mark_running(folder, Attempt(steps=steps, deaths=deaths)):
        return run_trial(trial, preparation, _get_trial_paths(trial, directory), on_progress, stop)


def _get_trial_paths(trial: Trial, directory: RunDirectory) -> TrialPaths:
    return TrialPaths(
        adapter=directory.adapter(trial),
        checkpoint=directory.checkpoint(trial),
        checkpoint_before=directory.checkpoint(trial.before) if trial.before else None,
    )

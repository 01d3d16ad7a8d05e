"""Run the missing trials of a comparison in this process, one after another."""

import gc
from collections.abc import Callable

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.trial import Trial
from tuneoff.runner.attempt import run_attempt
from tuneoff.runner.listener import Listener
from tuneoff.runner.planner import Planner
from tuneoff.runner.prepare import Preparation
from tuneoff.runs import RunDirectory
from tuneoff.runs.work_folder import WorkFolder
from tuneoff.system.interrupts import StopRequest


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
    """Write the records that are missing. Which trials those are follows from each record.

    Args:
        recipe: the comparison, reduced to fit its budget.
        preparation: what all trials share.
        directory: locked by the caller.
        listener: receives the start, the progress and the end of every trial.
        retry: whether to run failed trials again.
        fits_budget: whether a trial should finish before the budget ends; the first that should not ends the run.
        stop: checked after every step and batch.

    Raises:
        RunError: the base model or the tokens changed on the disk. Nothing is recorded of the trial that read them.
        Stopped: `stop` was requested. Records and checkpoints stay, and the same call resumes from them.
    """
    stop = stop or StopRequest()
    if retry:
        reset_failed(directory)
    WorkFolder(directory.path).restore()
    known = {record.trial.id: record for record in directory.read_records()}
    setting, samples = preparation.setting, preparation.text.summary.train_samples
    planner = Planner(recipe, setting, known, samples)
    directory.remove_checkpoints(planner.take_needless_checkpoints())
    listener.on_start(planner.tally_stages())
    try:
        while trial := planner.find_next():
            if not fits_budget(trial):
                break
            directory.require_in_place()
            previous = directory.get_checkpoint_file(trial.before) if trial.before else None
            folder, on_progress = directory.get_trial_folder(trial), listener.on_trial_start(trial)
            record = run_attempt(trial, preparation, folder, previous, on_progress, stop)
            directory.write_record(record)
            # what is long is on disk, and no plan reads it
            planner.add(record.model_copy(update={"predictions": (), "benchmarks": ()}))
            directory.remove_checkpoints(planner.take_needless_checkpoints(trial.label))
            listener.on_trial_end(record, planner.tally_stages())
            stop.raise_if_requested()
    finally:
        preparation.followers.close()
        gc.unfreeze()


def reset_failed(directory: RunDirectory) -> None:
    """Remove the records of failed trials, so that they run again."""
    for record in [record for record in directory.read_records() if record.status == "failed"]:
        directory.reset_trial(record.trial)

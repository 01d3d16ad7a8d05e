"""Run the missing trials of a comparison in this process, one after another."""

import gc
from collections.abc import Callable

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import ELSEWHERE, Record
from tuneoff.records.trial import Trial
from tuneoff.runner.crashes import begin_attempt, make_skipped_record, mark_running
from tuneoff.runner.listener import Listener
from tuneoff.runner.planner import Planner
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.trial import TrialPaths, run_trial
from tuneoff.runs import RunDirectory
from tuneoff.runtime.progress import OnProgress, Progress
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
    known = {record.trial.id: record for record in directory.read_records()}
    setting, samples = preparation.setting, preparation.text.summary.train_samples
    planner = Planner(recipe, setting, known, samples)
    directory.remove_checkpoints(planner.take_needless_checkpoints())
    listener.on_start(planner.tally_stages())
    try:
        while trial := planner.find_next():
            if not fits_budget(trial):
                break
            preparation.require_unchanged()
            directory.require_in_place()
            record = _run_or_skip(trial, preparation, directory, listener.on_trial_start(trial), stop)
            preparation.require_unchanged()
            if preparation.elsewhere:
                record = record.model_copy(update={"facts": {**record.facts, ELSEWHERE: dict(preparation.elsewhere)}})
            directory.write_record(record)
            # what is long is on disk, and no plan reads it
            planner.add(record.model_copy(update={"predictions": (), "benchmarks": ()}))
            directory.remove_checkpoints(planner.take_needless_checkpoints(trial.label))
            listener.on_trial_end(record, planner.tally_stages())
            stop.raise_if_requested()
    finally:
        gc.unfreeze()


def reset_failed(directory: RunDirectory) -> None:
    """Remove the records of failed trials, so that they run again."""
    for record in [record for record in directory.read_records() if record.status == "failed"]:
        directory.reset_trial(record.trial)


def _run_or_skip(
    trial: Trial, preparation: Preparation, directory: RunDirectory, on_progress: OnProgress, stop: StopRequest
) -> Record:
    """Run a trial, or skip it if too many processes died in it after the step that it would start from."""
    folder, steps = directory.get_trial_folder(trial), read_steps(directory.get_checkpoint_file(trial))
    attempt = begin_attempt(folder, steps)
    directory.reset_trial(trial)
    if attempt.is_hopeless:
        return make_skipped_record(trial, steps)
    with mark_running(folder, attempt) as note:

        def note_and_pass_on(progress: Progress) -> None:
            note(progress)
            on_progress(progress)

        return run_trial(trial, preparation, _get_trial_paths(trial, directory), note_and_pass_on, stop)


def _get_trial_paths(trial: Trial, directory: RunDirectory) -> TrialPaths:
    return TrialPaths(
        adapter=directory.get_adapter_folder(trial),
        checkpoint=directory.get_checkpoint_file(trial),
        previous_checkpoint=directory.get_checkpoint_file(trial.before) if trial.before else None,
    )

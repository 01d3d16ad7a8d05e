"""Run what is missing of a comparison in this process, one trial after the other."""

import gc
from collections.abc import Callable

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner import crashes
from tuneoff.runner.crashes import Attempt, deaths_at, noted, passed_over
from tuneoff.runner.plan import outlook, plan, resumable
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.trial import Places, run_trial
from tuneoff.runner.watch import Watch
from tuneoff.runs import RunDirectory
from tuneoff.runtime.progress import Tell
from tuneoff.system.interrupts import Stop
from tuneoff.training.checkpoint import steps_at


def run_missing(
    recipe: Recipe,
    preparation: Preparation,
    directory: RunDirectory,
    watch: Watch,
    *,
    retry: bool = False,
    has_room: Callable[[Trial], bool] = lambda _: True,
    stop: Stop | None = None,
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
    stop = stop or Stop()
    if retry:
        for failed in [record for record in directory.records() if record.status == "failed"]:
            directory.clear(failed.trial)
    known = {record.trial.id: record for record in directory.records()}
    setting = preparation.setting
    watch.begin(outlook(recipe, setting, known))
    try:
        while missing := [trial for trial in plan(recipe, setting, known) if trial.id not in known]:
            trial = missing[0]
            if not has_room(trial):
                break
            record = _run(trial, preparation, directory, watch.trial(trial), stop)
            directory.write_record(record)
            known[trial.id] = record.model_copy(update={"predictions": ()})  # on the disk, and of no use to a plan
            over = {id for id, record in known.items() if record.status != "failed"}
            directory.drop_checkpoints(over - resumable(recipe, setting, known))
            watch.end(record, outlook(recipe, setting, known))
            stop.heed()
    finally:
        gc.unfreeze()


def _run(trial: Trial, preparation: Preparation, directory: RunDirectory, tell: Tell, stop: Stop) -> Record:
    """The trial's record; without trying again where processes died in it before and came no further."""
    folder, steps = directory.trial(trial), steps_at(directory.checkpoint(trial))
    deaths = deaths_at(folder, steps)
    directory.clear(trial)
    if deaths >= crashes.MOST:
        return passed_over(trial, steps)
    with noted(folder, Attempt(steps=steps, deaths=deaths)):
        return run_trial(trial, preparation, _places(trial, directory), tell, stop)


def _places(trial: Trial, directory: RunDirectory) -> Places:
    return Places(
        adapter=directory.adapter(trial),
        checkpoint=directory.checkpoint(trial),
        checkpoint_before=directory.checkpoint(trial.before) if trial.before else None,
    )

"""Run one trial in a folder, from the checkpoint that the folder has. Every engine runs a trial through this."""

from __future__ import annotations

from pathlib import Path

from tuneoff.records.record import ELSEWHERE, Record
from tuneoff.records.trial import Trial
from tuneoff.runner.crashes import begin_attempt, make_skipped_record, mark_running
from tuneoff.runner.prepare import Preparation
from tuneoff.runner.trial import TrialPaths, run_trial
from tuneoff.runs.directory import reset_folder
from tuneoff.runs.layout import ADAPTER, CHECKPOINT
from tuneoff.runtime.progress import OnProgress, Progress
from tuneoff.system.interrupts import StopRequest
from tuneoff.training.checkpoint import read_steps


def run_attempt(
    trial: Trial,
    preparation: Preparation,
    folder: Path,
    previous_checkpoint: Path | None,
    on_progress: OnProgress,
    stop: StopRequest,
) -> Record:
    """Run a trial, or skip it if too many processes died in it after the step that it would start from.

    Args:
        folder: for the files of the trial.
        previous_checkpoint: of the rung below; None on the first rung.

    Raises:
        RunError: the base model or the tokens changed on the disk, so that there is no record.
        Stopped: `stop` was requested. The checkpoint stays.
    """
    preparation.require_unchanged()
    steps = read_steps(folder / CHECKPOINT)
    attempt = begin_attempt(folder, steps)
    reset_folder(folder)
    if attempt.is_hopeless:
        return make_skipped_record(trial, steps)
    paths = TrialPaths(
        adapter=folder / ADAPTER, checkpoint=folder / CHECKPOINT, previous_checkpoint=previous_checkpoint
    )
    with mark_running(folder, attempt) as note:

        def note_and_pass_on(progress: Progress) -> None:
            note(progress)
            on_progress(progress)

        record = run_trial(trial, preparation, paths, note_and_pass_on, stop)
    preparation.require_unchanged()
    if preparation.elsewhere:
        record = record.model_copy(update={"facts": {**record.facts, ELSEWHERE: dict(preparation.elsewhere)}})
    return record

"""Run trials one after the other in this process."""

from collections.abc import Sequence

from tuneoff.engines.trial import run_trial
from tuneoff.preparation import Preparation
from tuneoff.progress import Watch
from tuneoff.runs import RunDirectory
from tuneoff.trial import Trial


def run_missing(
    trials: Sequence[Trial], preparation: Preparation, directory: RunDirectory, watch: Watch, *, retry: bool = False
) -> None:
    """Make the records that are missing, and nothing else.

    Args:
        trials: in the order to run them.
        preparation: what they share.
        directory: held by the caller.
        watch: told of every trial's begin, moments and end.
        retry: whether a record of a failed trial counts as missing.
    """
    there = {trial.id: directory.record_of(trial) for trial in trials}
    missing = [t for t in trials if (r := there[t.id]) is None or (retry and r.status == "failed")]
    watch.begin(trials, len(missing))
    for trial in missing:
        directory.forget(trial)
        record = run_trial(trial, preparation, directory.adapter(trial), watch.trial(trial))
        directory.write_record(record)
        watch.end(record)

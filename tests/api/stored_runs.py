"""Run directories with synthetic records, as `tuneoff compare` would have written them."""

from pathlib import Path
from typing import Any

from tests.report.synthetic import make_synthetic_run
from tuneoff.runner.plan import plan_trials
from tuneoff.runs import RunDirectory


def write_run(path: Path, **recipe: Any) -> Path:
    """Write a run directory with a record for each confirmed trial of the recipe."""
    run, directory = make_synthetic_run(**recipe), RunDirectory(path)
    directory.begin(run.recipe, run.environment, run.data)
    trials = {(t.label, t.seed): t for t in plan_trials(run.recipe, run.records[0].trial.setting, {})}
    for record in run.records:
        directory.write_record(record.model_copy(update={"trial": trials[record.trial.label, record.trial.seed]}))
    return path

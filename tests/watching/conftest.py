"""Run directories as `tuneoff watch` finds them: at work, dead, finished, and of an early version."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.stored_runs import write_run
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.plan import plan_trials
from tuneoff.runs import RunDirectory
from tuneoff.runs.live import Event

Write = Callable[..., None]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Of an early version, so without a line from its processes."""
    return write_run(tmp_path / "run", methods=["base", "lora"], seeds=[0, 1])


@pytest.fixture
def unfinished(finished: Path) -> Path:
    """The trial of lora with seed 1 has no record yet."""
    directory = RunDirectory(finished)
    record = next(r for r in directory.read_records() if (r.trial.label, r.trial.seed) == ("lora", 1))
    directory.reset_trial(record.trial)
    for file in finished.glob("trials/*/record.json"):
        os.utime(file, (0, 0))
    return finished


@pytest.fixture
def trials(finished: Path) -> dict[str, Trial]:
    """The planned trials, by label and seed."""
    run = RunDirectory(finished).read()
    planned = plan_trials(run.recipe, run.records[0].trial.setting, {})
    return {f"{trial.label} {trial.seed}": trial for trial in planned}


@pytest.fixture
def write_events(tmp_path: Path) -> Write:
    """A function that appends events of a process; `ago` is in seconds."""

    def write(worker: str, kind: str, *, ago: float = 0.0, trial: Trial | None = None, **fields: Any) -> None:
        of_trial = {"trial": trial.id, "label": trial.label, "stage": trial.stage, "seed": trial.seed} if trial else {}
        event = Event.model_validate({"at": time.time() - ago, "kind": kind, **of_trial, **fields})
        folder = tmp_path / "run" / "live"
        folder.mkdir(exist_ok=True)
        with (folder / f"{worker}-0.jsonl").open("a") as stream:
            stream.write(event.model_dump_json(exclude_none=True) + "\n")

    return write


def read_record(run: Path, label: str, seed: int) -> Record:
    return next(r for r in RunDirectory(run).read_records() if (r.trial.label, r.trial.seed) == (label, seed))

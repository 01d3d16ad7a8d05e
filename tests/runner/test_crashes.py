"""A trial that kills its process twice in one place is passed over; one that gets further is not."""

import os
from pathlib import Path
from typing import Any

import pytest

from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner import crashes, local_engine
from tuneoff.runner.listener import SilentListener
from tuneoff.runner.local_engine import run_missing
from tuneoff.runner.prepare import Preparation, prepare
from tuneoff.runs import RunDirectory
from tuneoff.system.interrupts import Stopped


@pytest.fixture
def preparation(recipe: dict[str, Any]) -> Preparation:
    return prepare(Recipe.read(recipe | {"methods": ["lora"]}))


def run(preparation: Preparation, path: Path, *, retry: bool = False) -> list[Record]:
    directory = RunDirectory(path)
    run_missing(preparation.recipe, preparation, directory, SilentListener(), retry=retry)
    return list(directory.read_records())


def run_and_die(preparation: Preparation, path: Path, monkeypatch: pytest.MonkeyPatch, steps: int = 0) -> None:
    """In a process of its own, as soon as its trial begins, having written a checkpoint of that step if of any."""

    def die(*_: Any) -> Record:
        os._exit(9)

    monkeypatch.setattr(local_engine, "read_steps", lambda _: steps)
    child = os.fork()
    if child == 0:
        local_engine.run_trial = die
        run(preparation, path)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def done(trial: Trial, *_: Any) -> Record:
    return Record(trial=trial, status="done")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_trial_in_which_the_process_died_twice_is_recorded_as_failed_and_tried_again_only_when_asked(
    preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(crashes.MAX_DEATHS):
        run_and_die(preparation, tmp_path, monkeypatch)
    (record,) = run(preparation, tmp_path)
    assert record.status == "failed"
    assert "The process died twice in this trial" in (record.reason or "")
    monkeypatch.setattr(local_engine, "run_trial", done)
    assert run(preparation, tmp_path) == [record]
    assert [again.status for again in run(preparation, tmp_path, retry=True)] == ["done"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_trial_that_got_further_before_the_process_died_goes_on(
    preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in (0, 5, 7, 9):
        run_and_die(preparation, tmp_path, monkeypatch, steps)
    monkeypatch.setattr(local_engine, "run_trial", done)
    assert [record.status for record in run(preparation, tmp_path)] == ["done"]


@pytest.mark.parametrize("reason", [Stopped("SIGTERM"), KeyboardInterrupt()], ids=["asked", "at once"])
def test_a_trial_that_was_stopped_is_no_death(
    reason: BaseException, preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> Record:
        raise reason

    monkeypatch.setattr(local_engine, "run_trial", stop)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run(preparation, tmp_path)
    monkeypatch.setattr(local_engine, "run_trial", done)
    assert [record.status for record in run(preparation, tmp_path)] == ["done"]
    assert not list(tmp_path.rglob(crashes.ATTEMPTS_FILE))
